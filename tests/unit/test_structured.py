"""What a response_format may be, and what answers become by it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyllama.errors import InvalidRequest, InvalidResponse
from pyllama.structured import ResponseForm, form_options

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


class Model:
    """What a Pydantic model can do, as far as it matters here."""

    def __init__(self, a: int) -> None:
        self.a = a

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        """Return the schema."""
        return SCHEMA

    @classmethod
    def model_validate_json(cls, text: str) -> Model:
        """Make one; raises ValueError as Pydantic does."""
        return cls(**json.loads(text))


@pytest.mark.parametrize(
    ("given", "schema"),
    [
        (SCHEMA, SCHEMA),
        ({"type": "json_object"}, {"type": "object"}),
        ({"type": "json_object", "schema": SCHEMA}, SCHEMA),
        ({"type": "json_object", "schema": {}}, {}),
        ({"type": "json_schema", "schema": SCHEMA}, SCHEMA),
        ({"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}, SCHEMA),
        (Model, SCHEMA),
    ],
)
def test_every_spelling_of_a_form_is_read(given: Any, schema: Any) -> None:
    """A schema by itself, OpenAI's objects, and a model."""
    form = ResponseForm.of(given)
    assert form is not None
    assert form.schema == schema


@pytest.mark.parametrize("given", [None, {"type": "text"}])
def test_no_form_is_none(given: Any) -> None:
    """Text has no form."""
    assert ResponseForm.of(given) is None


@pytest.mark.parametrize(
    "given",
    [5, "json", dict, {"type": "json_schema", "json_schema": {}},
     {"type": "json_schema"}, {"type": "json_object", "schema": 5}],
)  # fmt: skip
def test_what_is_no_form_is_refused(given: Any) -> None:
    """The error names the field."""
    with pytest.raises(InvalidRequest) as caught:
        ResponseForm.of(given)
    assert str(caught.value.param).startswith("response_format")


@pytest.mark.parametrize(
    ("given", "path"),
    [
        (SCHEMA, "response_format"),
        ({"type": "json_object", "schema": SCHEMA}, "response_format.schema"),
        ({"type": "json_schema", "schema": SCHEMA}, "response_format.schema"),
        ({"type": "json_schema", "json_schema": {"schema": SCHEMA}},
         "response_format.json_schema.schema"),
    ],
)  # fmt: skip
def test_a_form_knows_where_its_schema_stands(given: Any, path: str) -> None:
    """What is found wrong with a schema later can be told by the caller's own path."""
    form = ResponseForm.of(given)
    assert form is not None
    assert form.path == path


@pytest.mark.parametrize(
    ("given", "path"),
    [
        (SCHEMA, "response_format"),
        ({"type": "json_object", "schema": SCHEMA}, "response_format.schema"),
        ({"type": "json_schema", "json_schema": {"schema": SCHEMA}},
         "response_format.json_schema.schema"),
    ],
)  # fmt: skip
def test_refusals_name_what_the_caller_gave(given: Any, path: str) -> None:
    """The field and the words are those of the caller, whoever finds the fault."""
    error = refused(ResponseForm.of(given), {"tools": ()}, {"tools": (), "json_schema": SCHEMA})
    assert error.param == f"{path}.properties.a"
    assert str(error) == f"{path}.properties.a is no JSON schema"


def test_without_a_form_options_stay_as_they_are() -> None:
    """And so do refusals."""
    error = refused(None, {"json_schema": SCHEMA}, {"json_schema": SCHEMA})
    assert error.param == "json_schema.properties.a"


@pytest.mark.parametrize("name", ["json_schema", "grammar"])
def test_a_form_is_the_only_one(name: str) -> None:
    """Another one beside it is refused; an option that says nothing is none."""
    form = ResponseForm.of(SCHEMA)
    with pytest.raises(InvalidRequest, match=f"response_format and {name}") as caught:
        form_options(form, {name: "x"}).__enter__()
    assert caught.value.param == name
    with form_options(form, {name: None}) as options:
        assert options["json_schema"] == SCHEMA


def refused(
    form: ResponseForm | None, given: dict[str, Any], made: dict[str, Any]
) -> InvalidRequest:
    """Find fault with the schema that a form and options become; return what the caller is told."""
    where = "json_schema.properties.a"

    def find_fault() -> None:
        with form_options(form, given) as options:
            assert {name: options[name] for name in made} == made
            raise InvalidRequest(f"{where} is no JSON schema", param=where)

    with pytest.raises(InvalidRequest) as caught:
        find_fault()
    return caught.value


def test_answers_become_objects() -> None:
    """Plain data for a schema, an instance for a model; what is neither is an error."""
    plain, model = ResponseForm.of(SCHEMA), ResponseForm.of(Model)
    assert plain is not None
    assert model is not None
    assert plain.parse('{"a": 1}') == {"a": 1}
    assert model.parse('{"a": 1}').a == 1
    with pytest.raises(InvalidResponse):
        plain.parse("{")
