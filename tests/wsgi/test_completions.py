"""``POST /v1/completions``: prompts and the shape of answers."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.fake_llama import FakeLlama
from tests.wsgi.sse import events

URL = "/v1/completions"


def test_answer_has_openais_shape(client: httpx.Client) -> None:
    """An answer is one text_completion object."""
    answer = client.post(URL, json={"prompt": "abc"}).json()
    assert answer["object"] == "text_completion"
    assert answer["id"].startswith("cmpl-")
    assert answer["choices"] == [
        {"index": 0, "text": "Hello", "logprobs": None, "finish_reason": "stop"}
    ]
    assert answer["usage"]["prompt_tokens"] == 3
    assert "timings" in answer


def test_stream_has_openais_chunks(client: httpx.Client) -> None:
    """A stream is the text, the reason, the usage if asked, and [DONE]."""
    options = {"stream": True, "stream_options": {"include_usage": True}}
    *chunks, last, done = events(client.post(URL, json={"prompt": "abc", **options}).text)
    assert [chunk["choices"][0]["text"] for chunk in chunks] == ["Hel", "lo", ""]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "stop"]
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert last["choices"] == []
    assert last["usage"]["prompt_tokens"] == 3
    assert done == "[DONE]"


@pytest.mark.parametrize(
    ("prompt", "source"),
    [
        ("abc", "abc"),
        (["abc"], "abc"),
        ([1, 2, 3], [1, 2, 3]),
        ([[1, 2, 3]], [1, 2, 3]),
        ("线", "线"),
    ],
)
def test_prompt_may_be_text_or_token_ids(
    client: httpx.Client, llm: FakeLlama, prompt: Any, source: Any
) -> None:
    """A string, token ids, and a list with one of them all mean one prompt."""
    assert client.post(URL, json={"prompt": prompt}).status_code == 200
    assert llm.generations[-1].prompt.source == source


@pytest.mark.parametrize(
    "prompt",
    [None, 3, {}, "", [], [[]], [None], [True], [1, "a"], [1.5], ["a", 1], [[1], [2.5]], [{}]],
)
def test_other_prompts_are_refused(client: httpx.Client, prompt: Any) -> None:
    """Mixed and empty prompts are refused by the name of the field."""
    response = client.post(URL, json={"prompt": prompt})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "prompt"
