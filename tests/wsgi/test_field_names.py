"""What the library refuses is told by the name that the client wrote, in every dialect."""

from __future__ import annotations

from typing import Any

import pytest

from pyllama.errors import InvalidRequest
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import client_of

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
MESSAGES = [{"role": "user", "content": "Hi"}]
SAID: dict[str, dict[str, Any]] = {
    CHAT: {"messages": MESSAGES},
    TEXT: {"prompt": "Hi"},
    "/v1/responses": {"input": "Hi"},
    "/api/chat": {"messages": MESSAGES},
}


class Strict(FakeLlama):
    """Finds fault with one of its own options, as it makes a prompt or as it starts."""

    def __init__(self, param: str, *, is_late: bool = False) -> None:
        error = InvalidRequest(f"{param} is wrong; mend it", param=param)
        super().__init__(start_error=error if is_late else None)
        self.error = None if is_late else error

    def chat_prompt(self, messages: Any, **options: Any) -> Any:
        """Refuse."""
        if self.error is not None:
            raise self.error
        return super().chat_prompt(messages, **options)


def refused(llm: FakeLlama, url: str, body: dict[str, Any]) -> tuple[Any, str]:
    """Return the field and the message of a refusal."""
    response = client_of(llm).post(url, json={**SAID[url], **body})
    assert response.status_code == 400, response.text
    answer = response.json()
    error = answer["error"] if isinstance(answer["error"], dict) else answer
    return error["param"], error.get("message", answer["error"])


@pytest.mark.parametrize(
    ("body", "param", "told"),
    [
        ({"chat_template_kwargs": {"a": 1}}, "template_kwargs", "chat_template_kwargs"),
        (
            {"chat_template_kwargs": {"enable_thinking": 1}},
            "template_kwargs.enable_thinking",
            "chat_template_kwargs.enable_thinking",
        ),
        ({"thinking_budget_tokens": 1}, "reasoning_budget", "thinking_budget_tokens"),
        ({"reasoning_budget_tokens": 1}, "reasoning_budget", "reasoning_budget_tokens"),
        ({"think": True}, "enable_thinking", "think"),
        ({"enable_thinking": True}, "enable_thinking", "enable_thinking"),
        ({"grammar": "root ::= [a]"}, "grammar", "grammar"),
        ({"json_schema": {}}, "json_schema", "json_schema"),
        ({"reasoning_effort": "low"}, "reasoning_effort", "reasoning_effort"),
    ],
)
def test_options_of_a_chat_are_called_what_the_client_called_them(
    body: dict[str, Any], param: str, told: str
) -> None:
    """The path and the sentence have the client's own spelling."""
    assert refused(Strict(param), CHAT, body) == (told, f"{told} is wrong; mend it")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        *((url, name) for url in (CHAT, TEXT) for name in ("max_completion_tokens", "n_predict")),
        ("/api/chat", "maxTokens"),
    ],
)
def test_what_shows_at_the_start_is_named_as_well(url: str, name: str) -> None:
    """A limit that the engine refuses is told by the name under which it was sent."""
    found = refused(Strict("max_tokens", is_late=True), url, {name: 0})
    assert found == (name, f"{name} is wrong; mend it")


@pytest.mark.parametrize(
    ("url", "told"),
    [(CHAT, "messages"), (TEXT, "prompt"), ("/v1/responses", "input"), ("/api/chat", "messages")],
)
def test_what_a_prompt_is_made_of_is_named(url: str, told: str) -> None:
    """A prompt is a field of those requests only that have one."""
    assert refused(Strict("prompt", is_late=True), url, {})[0] == told
