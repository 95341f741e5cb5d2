"""What is passed over is told to the log once, and to readers of the schemas."""

from __future__ import annotations

import logging
from typing import Any

import httpx
import pytest

from tests.support.fake_llama import FakeLlama
from wsgi import ignored
from wsgi.anthropic.parse import COUNT_FIELDS, MESSAGES_FIELDS
from wsgi.ollama.parse import OPTION_FIELDS
from wsgi.openai.parse_chat import CHAT_FIELDS
from wsgi.responses.parse import RESPONSES_FIELDS

USER = {"role": "user", "content": "Hi"}
MESSAGES = "/v1/messages"


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Let each test begin like a process of its own."""
    for name in ("_fields", "_tools", "_items"):
        monkeypatch.setattr(ignored, name, ignored.Names())
    caplog.set_level(logging.WARNING, "pyllama.wsgi")


def test_name_is_logged_once_a_process(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """However many requests have it, and whichever routes they go to."""
    extra = {"metadata": {"user_id": "x"}, "service_tier": "auto"}
    body = {"max_tokens": 5, "messages": [USER], **extra}
    for _ in range(3):
        for url in (MESSAGES, f"{MESSAGES}/count_tokens"):
            assert client.post(url, json=body).status_code == 200
    chat = {"messages": [USER], **extra}
    assert client.post("/v1/chat/completions", json=chat).status_code == 200
    assert caplog.text.count("'metadata' is ignored") == 1
    assert caplog.text.count("'service_tier' is ignored") == 1
    assert "unknown" not in caplog.text


def test_members_are_logged_with_a_place_they_have(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A mark that stands in a hundred blocks is one line, and so is one within an object."""
    block = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}
    tool = {"name": "f", "input_schema": {"type": "object"}, "defer_loading": True}
    body = {
        "max_tokens": 5,
        "system": [block] * 3,
        "messages": [{"role": "user", "content": [block] * 50}],
        "tools": [tool],
    }
    assert client.post(MESSAGES, json=body).status_code == 200
    assert caplog.text.count("cache_control") == 1
    assert "'tools.defer_loading' is ignored" in caplog.text
    asked = {"input": "Hi", "text": {"verbosity": "low"}, "reasoning": {"summary": "detailed"}}
    assert client.post("/v1/responses", json=asked).status_code == 200
    assert "'text.verbosity' is ignored" in caplog.text
    assert "'reasoning.summary' is ignored" in caplog.text


def test_null_asks_for_nothing(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    """What is null is absent, and not told."""
    body = {"input": "Hi", "truncation": None, "text": {"verbosity": None}}
    assert client.post("/v1/responses", json=body).status_code == 200
    assert caplog.text == ""


def test_names_that_clients_choose_fill_no_memory(caplog: pytest.LogCaptureFixture) -> None:
    """Types of tools are theirs to make up."""
    for i in range(1000):
        ignored.note_tool(f"made_up_{i}_{'x' * 1000}")
    assert 0 < len(caplog.records) <= 256
    assert max(len(record.getMessage()) for record in caplog.records) < 250


def test_honoured_fields_are_none_of_them() -> None:
    """What changes an answer is never passed over."""
    honoured = {
        "messages": CHAT_FIELDS,
        "tools": MESSAGES_FIELDS,
        "reasoning": RESPONSES_FIELDS,
        "num_predict": OPTION_FIELDS,
        "messages.content": COUNT_FIELDS,
        "text.format": RESPONSES_FIELDS,
        "output_config.format": MESSAGES_FIELDS,
    }
    for path, reader in honoured.items():
        assert path not in reader.schema.ignored.names


@pytest.mark.parametrize(
    ("component", "names"),
    [
        ("anthropic.prompt", ["context_management", "mcp_servers", "service_tier", "container"]),
        ("responses.prompt", ["truncation", "max_tool_calls", "client_metadata", "service_tier"]),
        ("openai.chat", ["verbosity", "prediction", "web_search_options"]),
        ("openai.generation", ["store", "metadata", "prompt_cache_key", "safety_identifier"]),
        ("openai.embeddings", ["user"]),
        ("ollama.options", ["num_gpu", "num_thread", "use_mmap"]),
    ],
)
def test_documents_mark_what_is_ignored(
    client: httpx.Client, component: str, names: list[str]
) -> None:
    """``/openapi.json`` has ``x-ignored`` at each, and the page to read says so."""
    properties = client.get("/openapi.json").json()["components"]["schemas"][component][
        "properties"
    ]
    assert [name for name in names if properties[name].get("x-ignored") is True] == names
    assert "(ignored)" in client.get("/docs").text


def test_nested_marks_are_in_the_document(client: httpx.Client) -> None:
    """Members have the mark as well as fields."""
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    verbosity: Any = schemas["responses.prompt"]["properties"]["text"]["properties"]["verbosity"]
    assert verbosity["x-ignored"] is True
    assert schemas["anthropic.prompt.tool"]["properties"]["cache_control"]["x-ignored"] is True


def test_loading_options_of_ollama_do_nothing(client: httpx.Client, llm: FakeLlama) -> None:
    """How the model is loaded was settled before; the answer is as without them."""
    options = {"num_gpu": 99, "num_thread": 4, "num_batch": 512, "use_mmap": False, "numa": True}
    body = {"model": "fake", "prompt": "Hi", "stream": False, "truncate": True, "shift": True}
    assert client.post("/api/generate", json={**body, "options": options}).status_code == 200
    assert llm.generations[-1].params == llm.defaults
