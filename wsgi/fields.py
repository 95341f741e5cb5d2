"""The top-level fields of a request body: spelling, nulls, refusals, and what is passed over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest, Unsupported

from .ignored import Names, note_unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .validation import Schema


@dataclass(frozen=True, slots=True)
class Refusal:
    """A field that the dialect defines, that asks for another answer, and is not honoured here."""

    name: str
    asks: Callable[[Any], bool]
    """Whether a value asks for anything; one that does not is as good as absent."""
    remedy: str


class FieldReader:
    """Checks the bodies of one route; safe to share between threads.

    Args:
        schema: the fields that are honoured, and those that are ignored.
        refusals: those that are refused.
    """

    def __init__(self, schema: Schema, refusals: Sequence[Refusal]) -> None:
        self.schema = schema
        self.refusals: Mapping[str, Refusal] = {refusal.name: refusal for refusal in refusals}
        self._known = schema.names | schema.ignored.names | self.refusals.keys()
        self._unknown = Names()

    def read(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of a body that are honoured, under their own spelling.

        Raises:
            InvalidRequest: a field has a wrong type or value.
            Unsupported: a field asks for what is not done here.
        """
        fields = _normalised(body)
        self.schema.check(fields)
        for name in fields.keys() & self.refusals.keys():
            refusal = self.refusals[name]
            if refusal.asks(fields[name]):
                raise Unsupported(f"{name} is not supported; {refusal.remedy}", param=name)
        self.schema.ignored.note(fields)
        unknown = fields.keys() - self._known
        if unknown:
            note_unknown(self._unknown.fresh(unknown))
        return {name: value for name, value in fields.items() if name in self.schema.names}


def whole(value: Any) -> Any:
    """Return 10 for 10.0, which JSON Schema counts among the integers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _normalised(body: Mapping[str, Any]) -> dict[str, Any]:
    """Spell ``top-p`` as ``top_p``, and drop nulls, which mean the same as absence."""
    fields: dict[str, Any] = {}
    for spelling, value in body.items():
        if value is None:
            continue
        name = spelling.replace("-", "_")
        if name in fields and fields[name] != value:
            raise InvalidRequest(f"{name} is given twice, with different values", param=name)
        fields[name] = value
    return fields
