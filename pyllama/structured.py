"""Answers with a form: what ``response_format`` may be, and the objects that answers become."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pyllama.errors import InvalidRequest, InvalidResponse
from pyllama.field_names import caller_names

_REMEDY = (
    "give a Pydantic model, a JSON schema, or OpenAI's object of type text, json_object or "
    "json_schema"
)


@dataclass(frozen=True, slots=True)
class ResponseForm:
    """A form that an answer's content has."""

    schema: Mapping[str, Any] | bool
    """What the content satisfies as JSON."""
    path: str = "response_format"
    """Where the schema stands in what the caller gave."""
    model: Any = None
    """The Pydantic model that it becomes; None leaves it plain data."""

    @classmethod
    def of(cls, response_format: Any) -> ResponseForm | None:
        """Read what a caller gave; None asks for no form.

        Raises:
            InvalidRequest: it is none of the things that say what an answer looks like.
        """
        if response_format is None:
            return None
        # Pydantic is the caller's: its models are known by what they can do.
        if isinstance(response_format, type) and hasattr(response_format, "model_json_schema"):
            return cls(response_format.model_json_schema(), model=response_format)
        if not isinstance(response_format, Mapping):
            raise InvalidRequest(
                f"response_format is no form of an answer; {_REMEDY}", param="response_format"
            )
        return cls._of_object(response_format)

    @classmethod
    def _of_object(cls, given: Mapping[str, Any]) -> ResponseForm | None:
        kind = given.get("type")
        if kind == "text":
            return None
        if kind not in ("json_object", "json_schema"):
            return cls(given)
        if kind == "json_schema" and given.get("json_schema") is not None:
            path, inner = "response_format.json_schema.schema", given["json_schema"]
            schema = inner.get("schema") if isinstance(inner, Mapping) else None
        elif kind == "json_object" or given.get("schema") is not None:
            path, schema = "response_format.schema", given.get("schema")
            if schema is None and kind == "json_object":
                schema = {"type": "object"}
        else:
            raise InvalidRequest(
                "response_format.json_schema is missing; send an object with a name and a schema",
                param="response_format.json_schema",
            )
        if not isinstance(schema, (Mapping, bool)):
            raise InvalidRequest(f"{path} must be a JSON schema", param=path)
        return cls(schema, path)

    def parse(self, text: str) -> Any:
        """Return the object that an answer's content stands for.

        Raises:
            InvalidResponse: the content is no JSON, or the model refuses it.
        """
        try:
            if self.model is not None:
                return self.model.model_validate_json(text)
            return json.loads(text)
        except ValueError as error:
            raise InvalidResponse(f"the answer does not have its form: {error}") from error


@contextmanager
def form_options(
    form: ResponseForm | None, options: Mapping[str, Any]
) -> Iterator[Mapping[str, Any]]:
    """Yield a prompt's options with the schema of a form among them, if there is one.

    What is refused within the block is called by the names that the caller gave it.

    Raises:
        InvalidRequest: the options ask for another form already.
    """
    formed, names = with_form(options, form)
    with caller_names(names):
        yield formed


def with_form(
    options: Mapping[str, Any], form: ResponseForm | None
) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Return a prompt's options with the schema of a form among them, and where that stands.

    Raises:
        InvalidRequest: the options ask for another form already.
    """
    if form is None:
        return options, {}
    for name in ("json_schema", "grammar"):
        if options.get(name) is not None:
            raise InvalidRequest(
                f"response_format and {name} exclude each other; give one of them", param=name
            )
    return {**options, "json_schema": form.schema}, {"json_schema": form.path}
