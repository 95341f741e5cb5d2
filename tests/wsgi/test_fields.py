"""Fields that are refused, and fields that nobody knows."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import jsonschema
import pytest

from pyllama.params import GenerationParams
from wsgi.fields import FieldReader
from wsgi.openai.refusals import CHAT_REFUSALS, COMPLETION_REFUSALS
from wsgi.validation import Schema

MESSAGES = [{"role": "user", "content": "Hi"}]
CHAT = Schema("wsgi.openai", "chat.json")
COMPLETION = Schema("wsgi.openai", "completion.json")

ASKING: dict[str, Any] = {
    "n_indent": 1,
    "t_max_predict_ms": 100,
    "lora": [{"id": 0, "scale": 1.0}],
    "return_tokens": True,
    "return_progress": True,
    "response_fields": ["content"],
    "verbose": True,
    "guided_json": {"type": "object"},
    "guided_regex": "[a-z]+",
    "guided_choice": ["yes", "no"],
    "guided_grammar": "root ::= [a-z]",
    "structured_outputs": {"choice": ["yes", "no"]},
    "functions": [{"name": "f"}],
    "function_call": {"name": "f"},
    "audio": {"voice": "x"},
    "modalities": ["text", "audio"],
    "reasoning_budget_start_tag": "<think>",
    "reasoning_budget_end_tag": "</think>",
    "reasoning_budget_end_tags": ["</think>"],
    "reasoning_budget_message": "enough",
    "reasoning_control": True,
}

HARMLESS: dict[str, Any] = {
    "n": 1,
    "logit_bias": {},
    "logprobs": False,
    "service_tier": "priority",
    "tools": [],
    "tool_choice": "auto",
    "response_format": {"type": "text"},
    "top_logprobs": 0,
    "modalities": ["text"],
    "id_slot": -1,
    "grammar": "",
    "parallel_tool_calls": True,
    "user": "me",
    "metadata": {"a": "b"},
    "store": True,
    "adaptive_target": -1.0,
    "timings_per_token": False,
    "function_call": "auto",
    "continue_final_message": False,
}


@pytest.mark.parametrize("refusal", CHAT_REFUSALS, ids=lambda refusal: refusal.name)
def test_chat_refuses_what_it_cannot_do(client: httpx.Client, refusal: Any) -> None:
    """A field that is defined and not honoured is a 400 with its name."""
    body = {"messages": MESSAGES, refusal.name: ASKING[refusal.name]}
    response = client.post("/v1/chat/completions", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == refusal.name
    assert "is not supported" in response.json()["error"]["message"]


@pytest.mark.parametrize("refusal", COMPLETION_REFUSALS, ids=lambda refusal: refusal.name)
def test_completions_refuse_what_they_cannot_do(client: httpx.Client, refusal: Any) -> None:
    """The same for text completions."""
    body = {"prompt": "a", refusal.name: ASKING[refusal.name]}
    response = client.post("/v1/completions", json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == refusal.name


@pytest.mark.parametrize("name", HARMLESS)
def test_field_that_asks_for_nothing_is_taken(client: httpx.Client, name: str) -> None:
    """Clients that spell out the default of every field are served."""
    body = {"messages": MESSAGES, name: HARMLESS[name]}
    assert client.post("/v1/chat/completions", json=body).status_code == 200


FUZZED = sorted({*CHAT.names, *ASKING} - {"messages"})


@pytest.mark.parametrize("name", FUZZED)
@pytest.mark.parametrize("value", ["x", {"a": [1]}, [[{}]], 10**30, 1.5, True])
def test_field_of_any_type_is_no_crash(client: httpx.Client, name: str, value: Any) -> None:
    """No value, however odd, is more than a bad request."""
    response = client.post("/v1/chat/completions", json={"messages": MESSAGES, name: value})
    assert response.status_code in {200, 400}
    if response.status_code == 400:
        assert response.json()["error"]["param"].startswith(name)


def test_unknown_field_is_ignored_and_logged_once(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Extensions of other clients do no harm; their names are logged, once."""
    body = {"messages": MESSAGES, "x_never_heard_of": 1}
    with caplog.at_level(logging.WARNING, "pyllama.wsgi"):
        for _ in range(3):
            assert client.post("/v1/chat/completions", json=body).status_code == 200
    assert caplog.text.count("'x_never_heard_of' is unknown and ignored") == 1


def test_memory_for_unknown_names_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    """A client that makes up names fills neither the memory nor the log."""
    reader = FieldReader(COMPLETION, ())
    with caplog.at_level(logging.WARNING, "pyllama.wsgi"):
        for i in range(1000):
            reader.read({"prompt": "a", f"made_up_{i}_{'x' * 1000}": 1})
    assert 0 < len(caplog.records) <= 256
    assert max(len(record.getMessage()) for record in caplog.records) < 150


@pytest.mark.parametrize(
    ("schema", "refusals"), [(CHAT, CHAT_REFUSALS), (COMPLETION, COMPLETION_REFUSALS)]
)
def test_every_generation_parameter_is_known(schema: Schema, refusals: Any) -> None:
    """A parameter that is new in the library cannot be forgotten here."""
    refused = {refusal.name for refusal in refusals}
    # Log probabilities of a prompt are asked for with echo.
    assert set(GenerationParams.names()) - {"prompt_logprobs"} <= schema.names | refused


@pytest.mark.parametrize("schema", [CHAT, COMPLETION])
def test_schemas_are_valid(schema: Schema) -> None:
    """The files are JSON Schema 2020-12."""
    jsonschema.Draft202012Validator.check_schema(dict(schema.document))


@pytest.mark.parametrize(
    ("schema", "refusals"), [(CHAT, CHAT_REFUSALS), (COMPLETION, COMPLETION_REFUSALS)]
)
def test_no_field_is_both_honoured_and_refused(schema: Schema, refusals: Any) -> None:
    """A name is in one place, once."""
    names = [refusal.name for refusal in refusals]
    assert not schema.names & set(names)
    assert len(names) == len(set(names))
