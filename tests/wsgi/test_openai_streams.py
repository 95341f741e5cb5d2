"""A stream adds up to the answer that comes whole, whatever is asked for."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from pyllama.results import ToolCallDelta
from pyllama.text.output import OutputDelta
from tests.support.fake_generation import Step
from tests.support.fake_llama import FakeLlama
from tests.support.folding import same_answer
from tests.wsgi.conftest import ClientOf
from tests.wsgi.sse import events

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
MESSAGES = [{"role": "user", "content": "Hi"}]

MIXED: tuple[Step, ...] = (
    OutputDelta(reasoning="Hm, "),
    OutputDelta(reasoning="so.", content="Well"),
    "",
    ", look: ",
    OutputDelta(
        tool_calls=(
            ToolCallDelta(index=0, id="call_a", name="f", arguments=""),
            ToolCallDelta(index=0, id="", name="", arguments='{"a": '),
        )
    ),
    OutputDelta(tool_calls=(ToolCallDelta(index=0, id="", name="", arguments="1}"),)),
    OutputDelta(tool_calls=(ToolCallDelta(index=1, id="call_b", name="g", arguments="{}"),)),
)
SCRIPTS: dict[str, tuple[Step, ...]] = {
    "text": ("Hel", "lo"),
    "silent": ("",),
    "late": ("a", "", ""),
    "mixed": MIXED,
    "calls": MIXED[4:],
    "reasoning": MIXED[:1],
}


def streamed(client: httpx.Client, url: str, body: dict[str, Any]) -> list[Any]:
    """Return the chunks of a stream that was asked for its usage."""
    options = {"stream": True, "stream_options": {"include_usage": True}}
    *chunks, done = events(client.post(url, json=body | options).text)
    assert done == "[DONE]"
    return chunks


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n": 3},
        {"logprobs": True},
        {"logprobs": True, "top_logprobs": 2, "n": 2},
        {"max_tokens": 1},
        {"timings_per_token": True},
    ],
    ids=str,
)
def test_chat_adds_up(connect: ClientOf, script: str, options: dict[str, Any]) -> None:
    """The deltas of a chat are its message: text, reasoning, calls, log probabilities, reason."""
    client = connect(FakeLlama(SCRIPTS[script]))
    body = {"messages": MESSAGES, **options}
    whole = client.post(CHAT, json=body)
    assert whole.status_code == 200, whole.text
    same_answer(whole.json(), streamed(client, CHAT, body))


@pytest.mark.parametrize("script", ["text", "silent", "late"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n": 2, "best_of": 2},
        {"logprobs": 0},
        {"logprobs": 2, "n": 2},
        {"echo": True},
        {"echo": True, "logprobs": 1},
        {"echo": True, "logprobs": 1, "prompt": ["abc", [100, 101]], "n": 2},
        {"suffix": "end"},
        {"prompt": ["a", "b", "c"]},
    ],
    ids=str,
)
def test_text_adds_up(connect: ClientOf, script: str, options: dict[str, Any]) -> None:
    """The chunks of a text completion are its choices: prompts, text, log probabilities, reason."""
    client = connect(FakeLlama(SCRIPTS[script]))
    body = {"prompt": "The prompt", **options}
    whole = client.post(TEXT, json=body)
    assert whole.status_code == 200, whole.text
    same_answer(whole.json(), streamed(client, TEXT, body))


@pytest.mark.parametrize(
    ("url", "source"), [(CHAT, {"messages": MESSAGES}), (TEXT, {"prompt": "a"})]
)
def test_timings_may_come_with_each_chunk(
    client: httpx.Client, url: str, source: dict[str, Any]
) -> None:
    """With ``timings_per_token`` every chunk with text has the timings so far."""
    chunks = streamed(client, url, source | {"timings_per_token": True})
    timed = [
        chunk["timings"]["predicted_n"]
        for chunk in chunks
        if any(piece.get("text") or piece.get("delta", {}).get("content")
               for piece in chunk["choices"])
    ]  # fmt: skip
    assert timed == [1, 2]
    assert chunks[-1]["timings"]["predicted_n"] == 2


def test_ping_interval_is_the_clients(connect: ClientOf) -> None:
    """A stream is silent for as long as its client wants it to be."""
    client = connect(FakeLlama(["a", 1.3, "b"]))
    body = {"prompt": "x", "stream": True}
    assert ": ping" in client.post(TEXT, json=body | {"sse_ping_interval": 1}).text
    assert ": ping" not in client.post(TEXT, json=body | {"sse_ping_interval": -1}).text
    assert client.post(TEXT, json=body | {"sse_ping_interval": -2}).status_code == 400
