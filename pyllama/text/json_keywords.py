"""The keywords of a JSON schema that are checked in our own way, since the library has no bounds.

It matches patterns with a matcher that nothing can stop, follows every reference anew, and compares
each item of a list with each other.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator, SchemaError, ValidationError

from pyllama.text.check_meter import CheckMeter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_FAULTS = 20
MAX_MESSAGE_LENGTH = 300
# Looking at some members of a list takes as long as one keyword.
_MEMBERS_PER_STEP = 8
_CHARS_PER_STEP = 64


def bounded(
    keyword: Callable[..., Iterator[ValidationError] | None],
) -> Callable[..., Iterator[ValidationError]]:
    """Return a keyword's check that is counted, and ends where the meter says so."""

    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        meter = CheckMeter.current()
        meter.charge(1 + (_size(value) + _size(instance)) // _MEMBERS_PER_STEP)
        meter.look()
        for error in keyword(validator, value, instance, schema) or ():
            # The library writes the whole value into each message.
            meter.charge(1 + len(error.message) // _CHARS_PER_STEP)
            error.message = error.message[:MAX_MESSAGE_LENGTH]
            yield error

    return check


def _size(value: Any) -> int:
    return len(value) if isinstance(value, (list, dict)) else 0


def _ref(validator: Any, reference: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    meter = CheckMeter.current()
    key = (id(schema), id(instance))
    if key in meter.known:
        known = meter.known[key]
        if known is None:
            raise RecursionError
        if known:
            yield ValidationError(known)
        return
    meter.known[key] = None
    target = meter.references.look_up(reference)
    errors = list(itertools.islice(validator.descend(instance, target), MAX_FAULTS))
    meter.known[key] = errors[0].message if errors else ""
    yield from errors


def _pattern(
    validator: Any, pattern: str, instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not CheckMeter.current().matches(
        pattern, instance
    ):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Any], instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    if validator.is_type(instance, "object"):
        meter = CheckMeter.current()
        for pattern, subschema in patterns.items():
            for name, value in instance.items():
                if meter.matches(pattern, name):
                    yield from validator.descend(value, subschema, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, subschema: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not validator.is_type(instance, "object"):
        return
    meter = CheckMeter.current()
    patterns = schema.get("patternProperties", {})
    for name, value in instance.items():
        if name in schema.get("properties", {}) or any(meter.matches(p, name) for p in patterns):
            continue
        if subschema is False:
            yield ValidationError(f"additional properties are not allowed, but there is {name!r}")
        else:
            yield from validator.descend(value, subschema, path=name)


def _unevaluated_properties(
    validator: Any, subschema: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    # The library looks for patterns all over the schema here, in a way that nothing can stop.
    if CheckMeter.current().has_named_patterns:
        raise SchemaError("unevaluatedProperties beside patternProperties")
    yield from Draft202012Validator.VALIDATORS["unevaluatedProperties"](
        validator, subschema, instance, schema
    )


def _unevaluated_items(
    validator: Any, subschema: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    # The library looks each item up in a list.
    CheckMeter.current().charge(_size(instance) ** 2 // _CHARS_PER_STEP)
    yield from Draft202012Validator.VALIDATORS["unevaluatedItems"](
        validator, subschema, instance, schema
    )


def _unique_items(
    validator: Any, is_wanted: Any, instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    if is_wanted and validator.is_type(instance, "array"):
        meter = CheckMeter.current()
        items = [_hashable(item, meter) for item in instance]
        if len(set(items)) < len(items):
            yield ValidationError("the items are not unique")


def _hashable(value: Any, meter: CheckMeter) -> Any:
    """Return what is equal for values that JSON Schema holds equal."""
    meter.charge()
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, list):
        return ("array", tuple(_hashable(item, meter) for item in value))
    if isinstance(value, dict):
        return ("object", frozenset((name, _hashable(item, meter)) for name, item in value.items()))
    return value


def _multiple_of(
    validator: Any, factor: float, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    library = Draft202012Validator.VALIDATORS["multipleOf"]
    try:
        yield from library(validator, factor, instance, schema)
    except (OverflowError, ValueError):
        # Of numbers that are no floats, or beyond all of them.
        if abs(instance) == float("inf") or (Fraction(instance) / Fraction(factor)).denominator > 1:
            yield ValidationError(f"the number is not a multiple of {factor}")


_OURS = {
    "$ref": _ref,
    "additionalProperties": _additional_properties,
    "multipleOf": _multiple_of,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "unevaluatedItems": _unevaluated_items,
    "unevaluatedProperties": _unevaluated_properties,
    "uniqueItems": _unique_items,
}

KEYWORDS: dict[str, Any] = {
    name: bounded(check) for name, check in {**Draft202012Validator.VALIDATORS, **_OURS}.items()
}
"""Every keyword's check, counted."""
