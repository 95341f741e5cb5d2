"""JSON held against a JSON Schema, in bounded time and without the network."""

from __future__ import annotations

import itertools
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import regex
from jsonschema import Draft202012Validator, FormatChecker, SchemaError, ValidationError, validators
from jsonschema.exceptions import UnknownType
from referencing import Registry
from referencing.exceptions import Unresolvable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeAlias

    Schema: TypeAlias = Mapping[str, Any] | bool

MAX_SECONDS = 2.0
"""Longest time that one check may take."""
_MAX_FAULTS = 20
_MAX_MESSAGE_LENGTH = 300

# Python's re would refuse patterns of ECMAScript here.
_NO_FORMATS = FormatChecker(())
_clock = threading.local()


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

    Raises:
        JsonFault: the value does not fit, or could not be checked.
    """
    _clock.deadline_s, _clock.schema = time.monotonic() + MAX_SECONDS, schema
    try:
        Draft202012Validator.check_schema(schema, _NO_FORMATS)
        errors = _Validator(schema, registry=Registry()).iter_errors(value)
        faults = [
            {"path": error.json_path, "message": error.message[:_MAX_MESSAGE_LENGTH]}
            for error in itertools.islice(errors, _MAX_FAULTS)
        ]
    except TimeoutError as error:
        raise JsonFault.of(f"the schema could not be checked within {MAX_SECONDS} s") from error
    except RecursionError as error:
        raise JsonFault.of("the schema refers to itself without end, or too deep") from error
    except (SchemaError, Unresolvable, UnknownType) as error:
        reason = str(error)[:_MAX_MESSAGE_LENGTH]
        raise JsonFault.of(f"the schema cannot be checked: {reason}") from error
    if faults:
        raise JsonFault(faults)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")


def _left_s() -> float:
    left_s: float = _clock.deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s


def _bounded(
    keyword: Callable[..., Iterator[ValidationError] | None],
) -> Callable[..., Iterator[ValidationError]]:
    """Return a keyword's check that ends at the deadline."""

    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        _left_s()
        yield from keyword(validator, value, instance, schema) or ()

    return check


def _matches(pattern: str, text: str) -> bool:
    # The re module cannot be stopped, and some patterns take longer than a life.
    try:
        return regex.search(pattern, text, timeout=_left_s(), concurrent=True) is not None
    except regex.error as error:
        raise SchemaError(f"the pattern {pattern!r} cannot be read: {error}") from error


def _pattern(
    validator: Any, pattern: str, instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not _matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    if validator.is_type(instance, "object"):
        for pattern, subschema in patterns.items():
            for name, value in instance.items():
                if _matches(pattern, name):
                    yield from validator.descend(value, subschema, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, subschema: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    patterns = schema.get("patternProperties", {})
    for name, value in instance.items():
        if name in schema.get("properties", {}) or any(_matches(p, name) for p in patterns):
            continue
        if subschema is False:
            yield ValidationError(f"additional properties are not allowed, but there is {name!r}")
        else:
            yield from validator.descend(value, subschema, path=name)


def _unevaluated_properties(
    validator: Any, subschema: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    # The library looks for patterns all over the schema here, in a way that nothing can stop.
    if "patternProperties" in json.dumps(_clock.schema):
        raise SchemaError("unevaluatedProperties beside patternProperties")
    yield from Draft202012Validator.VALIDATORS["unevaluatedProperties"](
        validator, subschema, instance, schema
    )


def _unique_items(
    validator: Any, is_wanted: Any, instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    # The library compares each item with each other.
    if is_wanted and validator.is_type(instance, "array"):
        items = [_hashable(item) for item in instance]
        if len(set(items)) < len(items):
            yield ValidationError("the items are not unique")


def _hashable(value: Any) -> Any:
    """Return what is equal for values that JSON Schema holds equal."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, list):
        return ("array", tuple(map(_hashable, value)))
    if isinstance(value, dict):
        return ("object", frozenset((name, _hashable(item)) for name, item in value.items()))
    return value


_OURS = {
    "additionalProperties": _additional_properties,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "unevaluatedProperties": _unevaluated_properties,
    "uniqueItems": _unique_items,
}
_Validator = validators.extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {name: _bounded(check) for name, check in {**Draft202012Validator.VALIDATORS, **_OURS}.items()},
)
