"""The keywords of a JSON schema: what their values are, and where schemas stand within."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})

_ONE = frozenset(
    {
        "additionalProperties", "contains", "contentSchema", "else", "if", "items", "not",
        "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
    }
)  # fmt: skip
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_MAPS = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})
_SAME_VALUE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")

Step = str | int


def children(node: dict[str, Any]) -> Iterator[tuple[tuple[Step, ...], Any]]:
    """Yield each schema that stands right within one, and the steps to it."""
    for keyword, value in node.items():
        if keyword in _ONE:
            yield (keyword,), value
        elif keyword in _LISTS:
            yield from (((keyword, index), child) for index, child in enumerate(value))
        elif keyword in _MAPS:
            yield from (((keyword, name), child) for name, child in value.items())


def applied_at_once(node: dict[str, Any]) -> Iterator[Any]:
    """Yield each schema right within one that the same value is held against."""
    for keyword in _SAME_VALUE:
        if keyword in node:
            value = node[keyword]
            if keyword in _LISTS:
                yield from value
            elif keyword in _MAPS:
                yield from value.values()
            else:
                yield value


def fault(keyword: str, value: Any) -> str | None:
    """Return what a keyword's value must be and is not; None where it is, or nobody reads it."""
    for keywords, is_right, wanted in _SHAPES:
        if keyword in keywords:
            return None if is_right(value) else f"it must be {wanted}"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_texts(value: Any) -> bool:
    return (
        isinstance(value, list)
        and all(isinstance(item, str) for item in value)
        and len(set(value)) == len(value)
    )


def _is_type(value: Any) -> bool:
    names = [value] if isinstance(value, str) else value
    return bool(names) and _is_texts(names) and TYPES.issuperset(names)


def _is_text_lists(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_texts, value.values()))


_SHAPES: tuple[tuple[frozenset[str], Callable[[Any], bool], str], ...] = (
    (_ONE, lambda value: isinstance(value, (dict, bool)), "an object or a boolean"),
    (_LISTS, lambda value: isinstance(value, list) and value != [], "a list of schemas"),
    (_MAPS, lambda value: isinstance(value, dict), "an object of schemas"),
    (frozenset({"type"}), _is_type, "one or several of " + ", ".join(sorted(TYPES))),
    (frozenset({"enum"}), lambda value: isinstance(value, list), "a list"),
    (frozenset({"required"}), _is_texts, "a list of different strings"),
    (frozenset({"dependentRequired"}), _is_text_lists, "an object of lists of different strings"),
    (frozenset({"multipleOf"}), lambda value: _is_number(value) and value > 0, "above 0"),
    (
        frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
        _is_number,
        "a number",
    ),
    (
        frozenset(
            {
                "maxContains", "maxItems", "maxLength", "maxProperties",
                "minContains", "minItems", "minLength", "minProperties",
            }
        ),
        _is_count,
        "a whole number from 0",
    ),
    (frozenset({"uniqueItems"}), lambda value: isinstance(value, bool), "true or false"),
    (
        frozenset({"$comment", "$dynamicRef", "$ref", "description", "format", "pattern", "title"}),
        _is_text,
        "a string",
    ),
)  # fmt: skip
