"""The top-level fields of a request body: spelling, nulls, refusals, and names unknown to all."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .validation import Schema

_log = logging.getLogger("pyllama.wsgi")

_MAX_REMEMBERED = 256
_MAX_NAME = 64


@dataclass(frozen=True, slots=True)
class Refusal:
    """A field that the dialect defines and this server does not honour yet."""

    name: str
    asks: Callable[[Any], bool]
    """Whether a value asks for anything; one that does not is as good as absent."""
    remedy: str


class FieldReader:
    """Checks the bodies of one route; safe to share between threads.

    Args:
        schema: the fields that are honoured.
        refusals: those that are refused.
    """

    def __init__(self, schema: Schema, refusals: Sequence[Refusal]) -> None:
        self.schema = schema
        self.refusals: Mapping[str, Refusal] = {refusal.name: refusal for refusal in refusals}
        self._known = schema.names | self.refusals.keys()
        self._ignored: set[str] = set()
        self._lock = threading.Lock()

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
        unknown = fields.keys() - self._known
        if unknown:
            self._note(unknown)
        return {name: value for name, value in fields.items() if name in self.schema.names}

    def _note(self, unknown: set[str]) -> None:
        """Log each name once, as far as a bounded memory goes: clients choose the names."""
        with self._lock:
            fresh = sorted(unknown - self._ignored)[: _MAX_REMEMBERED - len(self._ignored)]
            self._ignored.update(fresh)
        for name in fresh:
            _log.warning("request field %.*r is unknown and ignored", _MAX_NAME, name)


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
