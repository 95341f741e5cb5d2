"""Schemas that would take all time, all memory or the stack: each is used or refused, soon."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllama.errors import InvalidRequest
from pyllama.text import schema as schemas
from pyllama.text import tools as chat_tools
from pyllama.text.answer_form import AnswerForm
from pyllama.text.json_check import JsonFault, check_json

MAX_CPU_S = 5.0
"""Each takes some milliseconds; without bounds, hours. The time is this thread's own."""


def ref(n: int) -> dict[str, Any]:
    return {"$ref": f"#/$defs/d{n}"}


def chained(n: int, step: Any, last: Any) -> dict[str, Any]:
    """Return definitions each of which is made of the next."""
    defs = {f"d{i}": step(ref(i + 1)) for i in range(n)}
    return {"$defs": {**defs, f"d{n}": last}, **ref(0)}


def nested(n: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(n):
        schema = {"items": schema}
    return schema


LEAF = {"type": "object", "properties": {"a": {"type": "string"}}}
OPTIONAL: dict[str, Any] = {f"p{i}": {} for i in range(48)}
HOSTILE: dict[str, Any] = {
    "allOf twice": chained(40, lambda one: {"allOf": [one, one]}, {}),
    "allOf twice, short": chained(25, lambda one: {"allOf": [one, one]}, LEAF),
    "anyOf twice": chained(40, lambda one: {"anyOf": [one, one]}, {"type": "string"}),
    "oneOf twice": chained(20, lambda one: {"oneOf": [one, one]}, {"type": "string"}),
    "not": chained(20, lambda one: {"not": {"anyOf": [one, one]}}, {}),
    "if": chained(20, lambda one: {"if": one, "then": one, "else": one}, {}),
    "dependentSchemas": chained(
        20, lambda one: {"dependentSchemas": {"a": one, "b": one}}, {"unevaluatedProperties": True}
    ),
    "unevaluated": {
        **chained(20, lambda one: {"dependentSchemas": {"a": one, "b": one}}, {}),
        "unevaluatedProperties": False,
    },
    "properties twice": chained(40, lambda one: {"properties": {"a": one, "b": one}}, {}),
    "patternProperties": chained(20, lambda one: {"patternProperties": {"a": one, "b": one}}, {}),
    "circle": {
        "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}},
        "$ref": "#/$defs/a",
    },
    "circle through itself": {"anyOf": [{"type": "null"}, {"$ref": "#"}]},
    "tree": {"properties": {"a": {"$ref": "#"}, "b": {"$ref": "#"}}},
    "one shared by many": {
        "$defs": {"l": {"properties": {f"p{i}": {} for i in range(1000)}}},
        "allOf": [{"$ref": "#/$defs/l"}] * 3000,
    },
    "required": {"required": [f"r{i}" for i in range(9000)]},
    "required and properties": {
        "required": [f"r{i}" for i in range(3000)],
        "properties": {f"r{i}": {} for i in range(3000)},
    },
    "anyOf by anyOf": {
        "properties": {
            f"p{i}": {"anyOf": [{"anyOf": [{"type": "string"}] * 40}] * 40} for i in range(2)
        }
    },
    "types": {"type": [[], {}, 1] * 9000},
    "long names within": {"properties": {"x" * 110: {"properties": {"y" * 110: {**LEAF}}}}},
    "optional within": {"properties": {f"o{i}": {"properties": OPTIONAL} for i in range(60)}},
    "large enum": {"enum": [str(i) for i in range(1_000_000)]},
    "large const": {"const": "x" * 10_000_000},
    "large name": {"properties": {"x" * 100_000: {}}},
    "deep": nested(100_000),
    "deep values": {"const": [nested(90)]},
    "items": {"items": {"items": {"items": {"minItems": 10**9, "maxItems": 10**18}}}},
    "lengths": {"type": "string", "minLength": 10**18, "maxLength": 10**300},
    "numbers": {"type": "integer", "minimum": -(10**300), "maximum": 1e308, "multipleOf": 1e-300},
    "identities": {"$id": "http://[", "$anchor": "a", "$schema": "http://[::1", "type": "string"},
    "another dialect": {
        "items": {"$schema": "http://json-schema.org/draft-07/schema#", "pattern": "^(.*)*$"}
    },
    "dynamic": {"$dynamicRef": "#a", "$defs": {"a": {"$dynamicAnchor": "a"}}},
    "patterns": {
        "patternProperties": {rf"(?i)\p{{L}}{{20}}{i}": {} for i in range(1500)},
    },
    "own reader": {"pattern": "^(a\\[" + "\\\\" * 60 + "b*)+$"},
}


VALUES: list[Any] = [{"a": {"a": {}}, "b": {}}, "a" * 3000, [1, [2]], 1e308]


def check(schema: Any, value: Any) -> list[dict[str, str]]:
    """Return the faults of a value."""
    try:
        check_json(value, schema)
    except JsonFault as fault:
        return fault.details
    return []


def refusal(function: Callable[..., Any], *arguments: Any) -> InvalidRequest | None:
    """Return what a function refuses its arguments with; None where it takes them."""
    try:
        function(*arguments)
    except InvalidRequest as error:
        return error
    return None


def tool(parameters: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "parameters": parameters}}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_hostile_schema_is_used_or_refused_soon(name: str) -> None:
    """As an answer's form and as a tool's parameters, and when something is held against it."""
    schema = HOSTILE[name]
    start_s = time.thread_time()
    error = refusal(AnswerForm.of, schema, None)
    assert error is None or (error.param is not None and len(str(error)) < 20_000)
    if refusal(schemas.read, schema, "s") is None:
        checked = schemas.read(schema, "s").check
        assert all(isinstance(check(checked, value), list) for value in VALUES)
    parameters = {"type": "object", "properties": {"v": schema}}
    error = refusal(chat_tools.read, [tool(parameters)], "auto")
    assert error is None or str(error.param).startswith("tools")
    assert time.thread_time() - start_s < MAX_CPU_S


def test_many_hostile_tools_take_no_longer_than_one() -> None:
    """The bounds are for all tools of a request together."""
    parameters = {
        "type": "object",
        "properties": {f"o{i}": {"properties": OPTIONAL} for i in range(20)},
        "patternProperties": {rf"(?i)\p{{L}}{{20}}{i}": {} for i in range(200)},
    }
    tools = [
        {"type": "function", "function": {"name": f"f{i}", "parameters": parameters}}
        for i in range(128)
    ]
    start_s = time.thread_time()
    with pytest.raises(InvalidRequest, match="more than"):
        chat_tools.read(tools, "auto")
    assert time.thread_time() - start_s < MAX_CPU_S


REFERENCES = [
    "#/allOf/" + "1" * 5000,
    "#/allOf/9",
    "#/allOf/x",
    "#/allOf/-1",
    "#/allOf/\u0663",
    "#/allOf/0/0",
    "#/title",
    "#/title/0",
    "#/maxLength",
    "#/enum/0",
    "#/enum/1/x",
    "#/required",
    "#/%",
    "#/%zz/~",
    "#/~2",
    "#//",
    "##",
    "",
    "%23",
    "http://[",
    "#/" + "a/" * 10_000,
]


@pytest.mark.parametrize("reference", REFERENCES)
def test_a_reference_that_leads_to_no_schema_is_refused(reference: str) -> None:
    """Whatever it is, and wherever it stands, the path of the reference is named."""
    whole = {
        "title": "t",
        "maxLength": 5,
        "required": ["a"],
        "enum": [5, {"x": [1]}],
        "allOf": [{}],
        "not": {"items": {"$ref": reference}},
    }
    with pytest.raises(InvalidRequest) as caught:
        schemas.read(whole, "s")
    assert caught.value.param == "s.not.items.$ref"
    with pytest.raises(InvalidRequest) as caught:
        chat_tools.read([tool({"properties": {"v": {"$ref": reference}}})], "auto")
    assert caught.value.param == "tools[0].function.parameters.properties.v.$ref"


def test_what_a_reference_leads_to_is_a_schema_all_over() -> None:
    """Also where no keyword stands that schemas stand under."""
    with pytest.raises(InvalidRequest, match="no JSON schema") as caught:
        schemas.read({"enum": [{"properties": 5}], "not": {"$ref": "#/enum/0"}}, "s")
    assert caught.value.param == "s.not.$ref.properties"
    found = schemas.read({"x y": {"a/b": LEAF}, "$ref": "#/x%20y/a~1b"}, "s")
    assert found.grammar["$defs"]["r0"]["properties"] == LEAF["properties"]


PATTERNS = [
    "(" * 3000 + "a" + ")" * 3000,
    "a{99999999999999999999}",
    "(?=a)(?:a{1000}){1000}",
    "(a",
    "a**",
    "[",
    "\\",
    "(?R)",
    "(?=a)(?:a){e<=3}",
    "x" * 10_000,
    "(?=a)(a+)+$",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_that_cannot_be_used_is_refused_or_left_out(pattern: str) -> None:
    """For an answer it is refused with its path; a tool is served, its argument unchecked."""
    with pytest.raises(InvalidRequest) as caught:
        schemas.read({"properties": {"v": {"pattern": pattern}}}, "s")
    assert caught.value.param == "s.properties.v.pattern"
    inner = {"pattern": pattern, "type": "string"}
    named = {"patternProperties": {pattern: {}}, "additionalProperties": False}
    parameters = {"properties": {"v": inner, "w": named}}
    found = chat_tools.read([tool(parameters)], "auto")
    checked = found.chosen[0]["function"]["parameters"]
    assert checked["properties"]["v"] == {"type": "string"}
    check_json({"v": "anything", "w": {"anything": 1}}, checked)
    assert found.shown[0]["function"]["parameters"] == parameters


@given(st.from_regex(r"#(?:/(?:[a-z0-9$%~]{0,9}|allOf|\$defs|[0-9]{1,30})){0,4}", fullmatch=True))
def test_any_reference_is_taken_or_refused(reference: str) -> None:
    """Nothing but a refusal comes out, whatever goes in."""
    whole = {"$defs": {"a": {"allOf": [True, {"$ref": reference}]}}, "allOf": [{}, {"title": "x"}]}
    error = refusal(schemas.read, whole, "s")
    if error is None:
        assert check(schemas.read(whole, "s").check, {}) == []
    else:
        assert error.param == "s.$defs.a.allOf[1].$ref" or "itself" in str(error)


ATOMS = [
    *("(", ")", "(?:", "(?=", "(?<!", "(?P<n>", "(?i)", "[", "[^", "]", "{2,}", "{1,99999}", "{,"),
    *("*", "+", "?", "|", "^", "$", ".", "\\", "\\1", "\\d", "\\pL", "\\u00e9", "\\x", "\ud800"),
    *("a", "ß", "-", "&&", "\0"),
]


@given(st.lists(st.sampled_from(ATOMS), max_size=30).map("".join))
def test_any_pattern_is_taken_or_refused(pattern: str) -> None:
    """As a pattern, and as that of names; what is taken can be matched."""
    whole = {"type": "string", "pattern": pattern}
    error = refusal(AnswerForm.of, whole, None)
    assert error is None or error.param in {"json_schema", "json_schema.pattern"}
    if refusal(schemas.read, whole, "s") is None:
        checked = schemas.read(whole, "s").check
        assert all(len(check(checked, text)) <= 1 for text in ("", "aß-", "a" * 200))
    assert refusal(chat_tools.read, [tool({"properties": {"v": whole}})], "auto") is None
