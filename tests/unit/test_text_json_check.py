"""JSON held against schemas, kind and hostile ones."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pyllama.text import json_check
from pyllama.text.json_check import JsonFault, check_json, read_json


def faults(value: Any, schema: Any) -> list[str]:
    """Return the paths of a value's faults."""
    found = []
    try:
        check_json(value, schema)
    except JsonFault as fault:
        found = fault.details
    assert all(detail["message"] for detail in found)
    return sorted(detail["path"] for detail in found)


@pytest.mark.parametrize(
    ("value", "schema", "paths"),
    [
        ({"a": 1}, {"properties": {"a": {"type": "integer"}}, "required": ["a"]}, []),
        ({"a": ["x", 1]}, {"properties": {"a": {"items": {"type": "string"}}}}, ["$.a[1]"]),
        ({}, {"required": ["a", "b"]}, ["$", "$"]),
        ("abc", {"pattern": "^a"}, []),
        ("abc", {"pattern": "^b"}, ["$"]),
        ("é", {"pattern": "^\\p{L}$"}, []),
        (5, {"pattern": "^b"}, []),
        ({"x-1": 1}, {"patternProperties": {"^x-": {"type": "string"}}}, ["$['x-1']"]),
        ({"x": 1}, {"patternProperties": {"^x": True}, "additionalProperties": False}, []),
        ({"y": 1}, {"patternProperties": {"^x": True}, "additionalProperties": False}, ["$"]),
        ({"y": 1}, {"additionalProperties": {"type": "string"}}, ["$.y"]),
        ({"a": 1, "b": 2}, {"properties": {"a": True}, "unevaluatedProperties": False}, ["$"]),
        ([1, 1.0], {"uniqueItems": True}, ["$"]),
        ([1, True, "1", {"a": [1]}, {"a": [2]}], {"uniqueItems": True}, []),
        ([{"a": [1]}, {"a": [1.0]}], {"uniqueItems": True}, ["$"]),
        ("no date", {"format": "date"}, []),
        (1, True, []),
        (1, False, ["$"]),
        (
            {"n": {"n": 1}},
            {
                "$defs": {"n": {"properties": {"n": {"$ref": "#/$defs/n"}}}},
                "$ref": "#/$defs/n",
                "type": "object",
            },
            [],
        ),
    ],
)
def test_values_are_held_against_schemas(value: Any, schema: Any, paths: list[str]) -> None:
    """Faults are found where they are, in every keyword that we check in our own way."""
    assert faults(value, schema) == paths


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ({}, {"type": "nonsense"}),
        ("a", {"pattern": "("}),
        ({"a": 1}, {"patternProperties": {"(": {}}}),
        ({}, {"$ref": "#/$defs/none"}),
        ({}, {"$ref": "http://127.0.0.1:9/schema.json"}),
        ({}, {"$ref": "#"}),
        ({"a": 1}, {"unevaluatedProperties": False, "patternProperties": {"a": {}}}),
    ],
)
def test_a_schema_that_cannot_be_checked_is_a_fault(value: Any, schema: Any) -> None:
    """A schema that is none, has no end, or refers to the network satisfies nobody."""
    assert faults(value, schema) == ["$"]


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ("a" * 5000 + "!", {"pattern": "^(a+)+$"}),
        ({"a" * 5000 + "!": 1}, {"patternProperties": {"^(a|a)*$": {}}}),
        (
            1,
            {
                "$defs": {
                    f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)
                }
                | {"d40": {}},
                "$ref": "#/$defs/d0",
            },
        ),
    ],
)
def test_no_schema_takes_for_ever(monkeypatch: pytest.MonkeyPatch, value: Any, schema: Any) -> None:
    """Patterns and references that double the work at each step end at the limit, as faults."""
    monkeypatch.setattr(json_check, "MAX_SECONDS", 0.2)
    start = time.monotonic()
    paths = faults(value, schema)
    assert paths in ([], ["$"])
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("text", ["", "{", "nan", "NaN", "{} {}", "[" * 100_000, "Infinity"])
def test_what_is_no_json_is_a_fault(text: str) -> None:
    """Python's own extensions of JSON, and depth without end, are no JSON."""
    with pytest.raises(JsonFault):
        read_json(text)
