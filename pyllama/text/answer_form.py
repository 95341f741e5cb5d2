"""The form that a request asks of an answer's content: a JSON schema or a grammar."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama._ext.chat import schema_grammar
from pyllama.errors import InvalidRequest, NativeError
from pyllama.text import gbnf
from pyllama.text import schema as schemas
from pyllama.text.lru import LruCache
from pyllama.text.schema_source import as_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyllama.text.references import JsonSchema

# The check of a schema and its conversion take milliseconds, and clients send few schemas often.
_cache: LruCache[AnswerForm] = LruCache(128)


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """What an answer's content must be."""

    grammar: str
    """GBNF; its root rule is ``root``."""
    schema: JsonSchema | None = None
    """What the grammar may not hold exactly, to be checked at the end."""
    relaxed: Mapping[str, Any] | None = None
    """The schema as the grammar holds it."""

    @property
    def field(self) -> str:
        """The field that asks for it."""
        return "grammar" if self.relaxed is None else "json_schema"

    @classmethod
    def of(cls, json_schema: JsonSchema | None, grammar: str | None) -> AnswerForm | None:
        """Return the form that a request asks for; None where it asks for none.

        Raises:
            InvalidRequest: schema or grammar cannot be used, or both are given.
        """
        if json_schema is not None and grammar:
            raise InvalidRequest("grammar and json_schema exclude each other", param="grammar")
        if json_schema is not None:
            return _of_schema(json_schema)
        if grammar:
            return _of_grammar(grammar)
        return None


def _of_schema(schema: JsonSchema) -> AnswerForm:
    key = as_json(schema, "json_schema")
    return _cache.get(key, lambda: _from_schema(schema))


def _from_schema(given: JsonSchema) -> AnswerForm:
    schema = schemas.read(given, "json_schema")
    try:
        text = schema_grammar(json.dumps(schema.grammar))
        gbnf.check(text)
    except (NativeError, gbnf.GrammarError) as error:
        reason = f"json_schema cannot be turned into a grammar: {error}"
        raise InvalidRequest(reason, param="json_schema") from error
    return AnswerForm(text, schema.check, schema.grammar)


def _of_grammar(grammar: object) -> AnswerForm:
    if not isinstance(grammar, str):
        raise InvalidRequest("grammar must be a string", param="grammar")
    return _cache.get(f"grammar {grammar}", lambda: _from_grammar(grammar))


def _from_grammar(grammar: str) -> AnswerForm:
    try:
        gbnf.check(grammar)
    except gbnf.GrammarError as error:
        raise InvalidRequest(f"grammar cannot be used: {error}", param="grammar") from error
    return AnswerForm(grammar)
