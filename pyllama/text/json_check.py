"""JSON held against a JSON Schema, in bounded time and without the network.

The library that does it would take any time for some schemas, and hold the interpreter's lock
meanwhile. Here each of its steps is counted, and threads that serve others come first.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator, SchemaError, validators
from jsonschema.exceptions import UnknownType
from referencing import Registry
from referencing.exceptions import Unresolvable

from pyllama.text.check_meter import CheckMeter
from pyllama.text.json_keywords import KEYWORDS, MAX_FAULTS, MAX_MESSAGE_LENGTH

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    Schema: TypeAlias = Mapping[str, Any] | bool

MAX_SECONDS = 1.0
"""Longest time of the processor that one check may take."""

# What the library raises of schemas that are none, among them PatternError and ReferenceFault.
_UNUSABLE = (SchemaError, Unresolvable, UnknownType, ValueError, TypeError, AttributeError)


class JsonFault(Exception):
    """A text is not the JSON that was asked for.

    Args:
        details: one mapping for each fault, with its ``path`` and a ``message``.
    """

    def __init__(self, details: list[dict[str, str]]) -> None:
        self.details = details
        super().__init__(details[0]["message"])

    @classmethod
    def of(cls, message: str, path: str = "$") -> JsonFault:
        """Make one of a single fault."""
        return cls([{"path": path, "message": message}])


def read_json(text: str) -> Any:
    """Read a JSON text.

    Raises:
        JsonFault: it is none.
    """
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise JsonFault.of("the values nest too deep") from error
    except ValueError as error:
        raise JsonFault.of(f"not JSON: {error}") from error


def check_json(value: Any, schema: Schema) -> None:
    """Hold a value against a schema; ``format`` is not checked.

    Args:
        value: what :func:`read_json` returns.
        schema: such as :mod:`pyllama.text.schema` returns, known to be one.

    Raises:
        JsonFault: the value does not fit, or could not be checked.
    """
    CheckMeter(schema, MAX_SECONDS).begin()
    try:
        errors = _Validator(schema, registry=Registry()).iter_errors(value)
        faults = [
            {"path": error.json_path, "message": error.message[:MAX_MESSAGE_LENGTH]}
            for error in itertools.islice(errors, MAX_FAULTS)
        ]
    except TimeoutError as error:
        raise JsonFault.of("the schema takes too long to check") from error
    except RecursionError as error:
        raise JsonFault.of("the schema refers to itself without end, or too deep") from error
    except _UNUSABLE as error:
        reason = str(error)[:MAX_MESSAGE_LENGTH]
        raise JsonFault.of(f"the schema cannot be checked: {reason}") from error
    if faults:
        raise JsonFault(faults)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


class _CountedTypes:
    """The library's types, each question counted: it asks for one wherever it goes on."""

    def is_type(self, instance: Any, name: str) -> bool:
        """Return whether a value is of a type."""
        CheckMeter.current().charge()
        return bool(Draft202012Validator.TYPE_CHECKER.is_type(instance, name))


_Validator = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, KEYWORDS, type_checker=_CountedTypes()
)
