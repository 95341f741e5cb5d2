"""Schemas: what is refused, by its path, and what a grammar gets of them."""

from __future__ import annotations

from typing import Any

import pytest

from pyllama.errors import InvalidRequest
from pyllama.text import schema as schemas
from pyllama.text.answer_form import AnswerForm

OBJECT = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}


def grammar_of(schema: Any) -> dict[str, Any]:
    return schemas.read(schema, "s").grammar


def deep(n: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(n):
        schema = {"properties": {"a": schema}}
    return schema


@pytest.mark.parametrize(
    ("schema", "param", "reason"),
    [
        (False, "s", "no answer satisfies"),
        (5, "s", "must be a JSON schema"),
        ({"x": object()}, "s", "must be JSON"),
        ({"minimum": float("nan")}, "s", "must be JSON"),
        ({"type": "wizard"}, "s.type", "no JSON schema"),
        ({"properties": {"a": {"type": 5}}}, "s.properties.a.type", "no JSON schema"),
        ({"pattern": "("}, "s.pattern", "regex"),
        ({"pattern": "(?=a)(a+)+$"}, "s.pattern", "exponential"),
        ({"patternProperties": {"(?=a)(a+)+$": {}}}, "s.pattern", "exponential"),
        ({"$ref": "https://example.com/s"}, "s.$ref", "within the schema"),
        ({"$ref": "#anchor"}, "s.$ref", "within the schema"),
        ({"$ref": "#/$defs/a"}, "s.$ref", "does not have"),
        ({"$ref": "#"}, "s.$ref", "refers to itself"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "s.$ref", "to itself"),
        (
            {"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#/$defs/a"}}},
            "s.allOf[0].$ref",
            "to itself",
        ),
        ({"$dynamicRef": "#x"}, "s.$dynamicRef", "not supported"),
        ({"type": "string", "minLength": 5, "maxLength": 2}, "s.minLength", "more than maxLength"),
        ({"type": "array", "minItems": 5, "maxItems": 2}, "s.minItems", "more than maxItems"),
        ({"type": "integer", "minimum": 5, "maximum": 2}, "s", "no integer"),
        ({"type": "object", "properties": {"a" * 200: {}}}, None, "longer than"),
        (deep(60), None, "nests deeper"),
        (deep(3000), "s", "must be JSON"),
        ({"enum": ["a" * 1000] * 200}, None, "characters"),
        ({"anyOf": [{"type": "string"}] * 5000}, None, "more than 4000 parts"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(
    schema: Any, param: str | None, reason: str
) -> None:
    """The error names the path of what is wrong, or the bound that was passed."""
    with pytest.raises(InvalidRequest, match=reason) as caught:
        schemas.read(schema, "s")
    assert param is None or caught.value.param == param


@pytest.mark.parametrize(
    ("schema", "relaxed"),
    [
        (True, {}),
        ({"type": "string", "maxLength": 10**9}, {"type": "string"}),
        ({"type": "array", "minItems": 10**6}, {"type": "array", "minItems": schemas.MAX_ITEMS}),
        ({"enum": list(range(1000))}, {"type": ["integer"]}),
        ({"const": None}, {"enum": [None]}),
        ({"type": "number", "minimum": 3, "multipleOf": 2}, {"type": "number"}),
        (
            {"type": "string", "pattern": "^a*?$", "minLength": 2},
            {"type": "string", "minLength": 2},
        ),
        ({"type": ["string", "null"]}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        (
            {"allOf": [OBJECT, {"properties": {"y": {"type": "null"}}, "required": ["y"]}]},
            {
                "type": "object",
                "properties": {"y": {"type": "null"}, "x": {"type": "integer"}},
                "required": ["x", "y"],
            },
        ),
        (
            {**OBJECT, "anyOf": [{"required": ["x"]}, {"required": ["y"]}]},
            OBJECT,
        ),
        (
            {"properties": {"a": False, "b": True}, "required": ["b", "c"]},
            {"type": "object", "properties": {"b": {}, "c": {}}, "required": ["b", "c"]},
        ),
        (
            {"type": "object", "properties": {f"p{i}": {} for i in range(500)}},
            {"type": "object"},
        ),
        (
            {"type": "array", "prefixItems": [{"type": "null"}], "items": {"type": "string"}},
            {"type": "array", "prefixItems": [{"type": "null"}]},
        ),
    ],
)
def test_what_a_grammar_cannot_hold_is_relaxed(schema: Any, relaxed: dict[str, Any]) -> None:
    """Keywords that llama-common ignores or stumbles over are left to the check at the end."""
    assert grammar_of(schema) == relaxed
    assert schemas.read(schema, "s").check == schema


def test_references_become_definitions() -> None:
    """A recursive schema keeps its recursion, under names that llama-common can look up."""
    tree = {"type": "object", "properties": {"left/right": {"$ref": "#/$defs/t~1x"}}}
    found = grammar_of({"$ref": "#/$defs/t~1x", "$defs": {"t/x": tree}})
    assert found["$ref"] == "#/$defs/r0"
    assert found["$defs"]["r0"]["properties"] == {"left/right": {"$ref": "#/$defs/r0"}}


@pytest.mark.parametrize(
    "schema",
    [
        OBJECT,
        {"type": "object"},
        True,
        {"properties": {"é ü": {"const": 'ß\n"'}}, "required": ["é ü"]},
        {"$ref": "#/$defs/t", "$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}}},
        {"type": "string", "maxLength": 512, "minLength": 500},
        {"type": "integer", "minimum": -12, "exclusiveMaximum": 3000},
        {"type": "string", "pattern": r"^\d{3}-[^x]{2,}(?:a|b)$"},
        {"enum": [str(i) for i in range(256)]},
        {"type": "object", "properties": {f"p{i}": {} for i in range(128)}},
    ],
)
def test_a_schema_has_a_grammar(schema: Any) -> None:
    """What is left of a schema can be converted, and its grammar keeps within the bounds."""
    form = AnswerForm.of(schema, None)
    assert form is not None
    assert "root ::=" in form.grammar
    assert AnswerForm.of(schema, None) is form


def test_schema_and_grammar_exclude_each_other() -> None:
    """An answer has one form."""
    with pytest.raises(InvalidRequest) as caught:
        AnswerForm.of(OBJECT, 'root ::= "a"')
    assert caught.value.param == "grammar"
    assert AnswerForm.of(None, None) is None


@pytest.mark.parametrize("grammar", ["root ::= x", 5, "x"])
def test_a_grammar_that_is_none_is_refused(grammar: Any) -> None:
    """The error names the field."""
    with pytest.raises(InvalidRequest, match="grammar") as caught:
        AnswerForm.of(None, grammar)
    assert caught.value.param == "grammar"
