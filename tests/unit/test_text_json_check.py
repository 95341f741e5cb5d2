"""JSON held against schemas, kind and hostile ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
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


class Counter:
    """A thread that counts for as long as it gets the interpreter's lock."""

    def __init__(self) -> None:
        self.n = 0
        self._is_over = False
        self._thread = threading.Thread(target=self._count, daemon=True)

    def __enter__(self) -> Counter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._thread.join()

    def _count(self) -> None:
        while not self._is_over:
            self.n += 1

    def pace(self, work: Callable[[], object]) -> float:
        """Return the counts a second while something else is done."""
        before, start_s = self.n, time.monotonic()
        work()
        return (self.n - before) / (time.monotonic() - start_s)


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ("ab" * 20_000, {"pattern": "[ab]*a[ab]{900}c"}),
        ("a" * 5000, {"pattern": "^(.*)(.*)(.*)(.*)[bc](?!y)$"}),
        (list(range(4000)), {"contains": {"const": -1}}),
    ],
)
def test_other_threads_run_meanwhile(value: Any, schema: Any) -> None:
    """While a text is matched, and while steps are counted, others get the lock again and again."""
    schemas = {"type": ["string", "array"], **schema}
    best, n_tries = 0.0, 0
    with Counter() as counter:
        while best <= 1 / 3 and (n_tries := n_tries + 1) <= 5:
            alone = counter.pace(lambda: time.sleep(0.2))
            best = max(best, counter.pace(lambda: faults(value, schemas)) / alone)
    assert best > 1 / 3


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (list(range(30_000)), {"prefixItems": [True], "unevaluatedItems": False}),
        ([{"a": i} for i in range(9000)], {"items": {"enum": [{"a": -i} for i in range(4000)]}}),
        ([f"{i}" * 60 for i in range(2000)], {"items": {"pattern": "^(.*)(.*)(.*)[bc](?!y)$"}}),
        ([{"k": 1}] * 3000, {"items": {"anyOf": [{"required": [f"z{i}"]} for i in range(1000)]}}),
        (
            {"a": 1, "b": 1},
            {
                "$defs": {
                    f"d{n}": {
                        "dependentSchemas": {key: {"$ref": f"#/$defs/d{n + 1}"} for key in "ab"}
                    }
                    for n in range(20)
                }
                | {"d20": {}},
                "$ref": "#/$defs/d0",
                "unevaluatedProperties": True,
            },
        ),
    ],
)
def test_steps_and_time_of_a_check_have_a_limit(value: Any, schema: Any) -> None:
    """What the library would do without end is a fault after about the time of the limit."""
    start_s = time.thread_time()
    assert len(faults(value, schema)) <= 20
    assert time.thread_time() - start_s < 4 * json_check.MAX_SECONDS


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
@pytest.mark.parametrize("last", [{"type": "string"}, {"type": "integer"}])
def test_a_reference_is_followed_once_for_a_value(keyword: str, last: Any) -> None:
    """Twice the same at each of many levels takes twice the levels, whether it fits or not."""
    schema = {
        "$defs": {
            f"d{n}": {keyword: [{"$ref": f"#/$defs/d{n + 1}"}, {"$ref": f"#/$defs/d{n + 1}"}]}
            for n in range(25)
        }
        | {"d25": last},
        "$ref": "#/$defs/d0",
    }
    start_s = time.thread_time()
    assert bool(faults(5, schema)) == (last["type"] == "string" or keyword == "oneOf")
    assert time.thread_time() - start_s < json_check.MAX_SECONDS


@pytest.mark.parametrize(
    ("value", "factor", "n_faults"),
    [(10**400, 0.5, 0), (10**400 + 1, 2.5, 1), (float("inf"), 0.5, 1), (1e308, 1e-300, 1)],
)
def test_numbers_beyond_all_floats_are_divided_exactly(
    value: float, factor: float, n_faults: int
) -> None:
    """A number that no float holds is held against a factor all the same."""
    assert len(faults(value, {"multipleOf": factor})) == n_faults
