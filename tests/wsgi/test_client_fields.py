"""Every field that the public clients can send is honoured, passed over, or refused for a reason.

The clients' own types name the fields, so that one which is new in a client fails here first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import anthropic.types as anthropic_types
import httpx
import ollama._types as ollama_types
import openai.types as openai_types
import pytest
from anthropic.types.beta import message_count_tokens_params as beta_count
from anthropic.types.beta import message_create_params as beta_create
from openai.types.chat import completion_create_params as chat_create
from openai.types.responses import input_token_count_params as responses_count
from openai.types.responses import response_create_params as responses_create

from wsgi.anthropic.parse import COUNT_FIELDS, MESSAGES_FIELDS
from wsgi.fields import FieldReader
from wsgi.ollama.embed import EMBED_FIELDS, EMBEDDINGS_FIELDS
from wsgi.ollama.parse import OPTION_FIELDS
from wsgi.ollama.parse_chat import CHAT_FIELDS as OLLAMA_CHAT_FIELDS
from wsgi.ollama.parse_generate import GENERATE_FIELDS
from wsgi.openai.embeddings import EMBEDDINGS_FIELDS as VECTOR_FIELDS
from wsgi.openai.parse_chat import CHAT_FIELDS
from wsgi.openai.parse_completion import COMPLETION_FIELDS
from wsgi.responses.parse import INPUT_TOKENS_FIELDS, RESPONSES_FIELDS
from wsgi.validation import load_schemas


class Sent(NamedTuple):
    """What a client can send to a route."""

    reader: FieldReader
    names: frozenset[str]


def typed(*params: Any) -> frozenset[str]:
    """Return the keys of typed dictionaries."""
    return frozenset().union(*(one.__required_keys__ | one.__optional_keys__ for one in params))


def modelled(model: Any) -> frozenset[str]:
    """Return the fields of a pydantic model."""
    return frozenset(model.model_fields)


SENT = {
    "openai chat": Sent(
        CHAT_FIELDS,
        typed(
            chat_create.CompletionCreateParamsNonStreaming,
            chat_create.CompletionCreateParamsStreaming,
        ),
    ),
    "openai completions": Sent(
        COMPLETION_FIELDS,
        typed(
            openai_types.completion_create_params.CompletionCreateParamsNonStreaming,
            openai_types.completion_create_params.CompletionCreateParamsStreaming,
        ),
    ),
    "openai responses": Sent(
        RESPONSES_FIELDS,
        typed(
            responses_create.ResponseCreateParamsNonStreaming,
            responses_create.ResponseCreateParamsStreaming,
        ),
    ),
    "openai count": Sent(INPUT_TOKENS_FIELDS, typed(responses_count.InputTokenCountParams)),
    "openai embeddings": Sent(VECTOR_FIELDS, typed(openai_types.EmbeddingCreateParams)),
    "anthropic messages": Sent(
        MESSAGES_FIELDS,
        typed(
            anthropic_types.message_create_params.MessageCreateParamsNonStreaming,
            beta_create.MessageCreateParamsNonStreaming,
            beta_create.MessageCreateParamsStreaming,
        ),
    ),
    "anthropic count": Sent(
        COUNT_FIELDS,
        typed(anthropic_types.MessageCountTokensParams, beta_count.MessageCountTokensParams),
    ),
    "ollama chat": Sent(OLLAMA_CHAT_FIELDS, modelled(ollama_types.ChatRequest)),
    "ollama generate": Sent(GENERATE_FIELDS, modelled(ollama_types.GenerateRequest)),
    "ollama embed": Sent(EMBED_FIELDS, modelled(ollama_types.EmbedRequest)),
    "ollama embeddings": Sent(EMBEDDINGS_FIELDS, modelled(ollama_types.EmbeddingsRequest)),
    "ollama options": Sent(OPTION_FIELDS, modelled(ollama_types.Options)),
}

# What each would change of an answer, if it were honoured.
REFUSED = {
    "audio": "the answer would be spoken",
    "background": "the answer would come later, by another request",
    "compaction": "the answer would be a summary",
    "conversation": "the prompt would begin with what is kept elsewhere",
    "function_call": "it is the old name of another field",
    "functions": "it is the old name of another field",
    "height": "the answer would be a picture",
    "modalities": "the answer would be spoken",
    "penalize_newline": "other tokens would be drawn",
    "prompt": "the prompt would begin with what is kept elsewhere",
    "steps": "the answer would be a picture",
    "tfs_z": "other tokens would be drawn",
    "width": "the answer would be a picture",
}

MESSAGES = [{"role": "user", "content": "Hi"}]
BODIES: dict[str, tuple[str, FieldReader, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", CHAT_FIELDS, {"messages": MESSAGES}),
    "completions": ("/v1/completions", COMPLETION_FIELDS, {"prompt": "a"}),
    "responses": ("/v1/responses", RESPONSES_FIELDS, {"input": "a"}),
    "input_tokens": ("/v1/responses/input_tokens", INPUT_TOKENS_FIELDS, {"input": "a"}),
    "embeddings": ("/v1/embeddings", VECTOR_FIELDS, {"input": "a"}),
    "messages": ("/v1/messages", MESSAGES_FIELDS, {"messages": MESSAGES, "max_tokens": 5}),
    "count_tokens": ("/v1/messages/count_tokens", COUNT_FIELDS, {"messages": MESSAGES}),
}
IGNORED = [
    (route, name)
    for route, (_, reader, _) in BODIES.items()
    for name in sorted(reader.schema.ignored.names)
    if "." not in name
]


@pytest.mark.parametrize("client", SENT)
def test_every_field_of_a_client_is_known(client: str) -> None:
    """None is told to the log as one that nobody defines."""
    reader, names = SENT[client]
    assert len(names) > 2
    known = reader.schema.names | reader.schema.ignored.names | reader.refusals.keys()
    assert names - known == set()


@pytest.mark.parametrize("client", SENT)
def test_what_is_refused_would_change_the_answer(client: str) -> None:
    """Nothing that only advises is refused, and nothing is refused and something else as well."""
    reader, names = SENT[client]
    schema, refused = reader.schema, reader.refusals.keys()
    assert refused & names <= REFUSED.keys()
    assert all(refusal.remedy for refusal in reader.refusals.values())
    assert not refused & (schema.names | schema.ignored.names)
    assert not schema.names & schema.ignored.names


@pytest.mark.parametrize(("route", "name"), IGNORED)
def test_ignored_field_changes_nothing(client: httpx.Client, route: str, name: str) -> None:
    """Whatever hosted providers take there, the request is answered."""
    url, reader, body = BODIES[route]
    known = {"prompt_cache_options": {"ttl": "30m"}, "thread": {"type": "create"}}
    schema = _property(reader, name)
    values = ["auto"] if schema.get("type") == "string" else ["auto", 3, True, {"a": [1]}, [{}]]
    for value in [known[name]] if name in known else values:
        response = client.post(url, json={**body, name: value})
        assert response.status_code == 200, response.text


def _property(reader: FieldReader, name: str) -> Any:
    documents = load_schemas(reader.schema.package)
    for document in documents.values():
        found = document.get("properties", {}).get(name, {})
        if found.get("x-ignored"):
            return found
    raise AssertionError(name)
