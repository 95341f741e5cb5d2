"""What people get: the public OpenAI client and plain requests against a real server."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import openai
import pytest

if TYPE_CHECKING:
    import httpx


SYSTEM = {"role": "system", "content": "You are a helpful assistant."}
FRANCE: Any = [SYSTEM, {"role": "user", "content": "What is the capital of France?"}]


def test_public_client_chats(public: openai.OpenAI) -> None:
    """The public client gets a right answer with counted tokens."""
    answer = public.chat.completions.create(model="any", messages=FRANCE)
    choice = answer.choices[0]
    assert choice.message.content is not None
    assert "Paris" in choice.message.content
    assert choice.finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_public_client_streams_the_same_text(public: openai.OpenAI) -> None:
    """A stream's pieces add up to the answer that comes whole, and usage comes at its end."""
    whole = public.chat.completions.create(model="any", messages=FRANCE)
    chunks = list(
        public.chat.completions.create(
            model="any",
            messages=FRANCE,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == whole.choices[0].message.content
    # How many there are depends on how busy the machine is.
    assert len(pieces) > 1
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens  # type: ignore[union-attr]


def test_public_client_completes(public: openai.OpenAI) -> None:
    """Text completion continues the prompt and reports why it ended."""
    answer = public.completions.create(model="any", prompt="1, 2, 3, 4, 5,", max_tokens=12)
    assert answer.choices[0].text.startswith(" 6, 7, 8,")
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12


def test_public_client_stops_at_a_string(public: openai.OpenAI) -> None:
    """The text ends before the stop string, which spans tokens."""
    answer = public.completions.create(model="any", prompt="1, 2, 3, 4, 5,", stop=[", 8"])
    assert answer.choices[0].text == " 6, 7"
    assert answer.choices[0].finish_reason == "stop"


def test_public_client_lists_the_model(public: openai.OpenAI) -> None:
    """The hosted model is listed and can be asked for by its id."""
    (model,) = public.models.list().data
    assert public.models.retrieve(model.id).id == model.id


def test_public_client_sees_errors_as_its_own_classes(public: openai.OpenAI) -> None:
    """A bad request raises the class that the client has for it."""
    with pytest.raises(openai.BadRequestError) as caught:
        public.chat.completions.create(model="any", messages=[])
    assert caught.value.param == "messages"


def test_body_with_hyphens_works_as_it_stands(client: httpx.Client) -> None:
    """Hyphenated names are honoured like the underscored ones, whatever model is named."""
    body: dict[str, Any] = {
        "model": "Qwen3-Coder-30B-A3B-Instruct-UD-IQ2_M.gguf",
        "messages": [
            {"role": "system", "content": "你是一个有帮助的 AI 助手。"},
            {"role": "user", "content": "帮我生成一个随机数，直接返回我数字"},
        ],
        "max_tokens": 512,
        "temperature": 0,
        "top-p": 0.9,
        "repeat-penalty": 1.1,
        "stream": False,
    }
    hyphens = client.post("/v1/chat/completions", json=body | {"max_tokens": 48})
    assert hyphens.status_code == 200
    answer = hyphens.json()
    assert answer["model"].endswith(".gguf")
    assert answer["model"] != body["model"]
    underscored = {key.replace("-", "_"): value for key, value in body.items()}
    plain = client.post("/v1/chat/completions", json=underscored | {"max_tokens": 48}).json()
    text = answer["choices"][0]["message"]["content"]
    assert plain["choices"][0]["message"]["content"] == text
    without = {key: value for key, value in body.items() if key != "repeat-penalty"}
    other = client.post("/v1/chat/completions", json=without | {"max_tokens": 48}).json()
    assert other["choices"][0]["message"]["content"] != text


def test_timings_and_cached_tokens_are_counted(client: httpx.Client) -> None:
    """A repeated prompt is cached but for its last token, and the timings say so."""
    body = {"prompt": "Seven sailors sang songs about the silver sea.", "max_tokens": 4}
    first = client.post("/v1/completions", json=body).json()
    again = client.post("/v1/completions", json=body).json()
    n_prompt = first["usage"]["prompt_tokens"]
    assert again["usage"]["prompt_tokens_details"]["cached_tokens"] == n_prompt - 1
    assert again["timings"]["cache_n"] == n_prompt - 1
    assert again["timings"]["prompt_n"] == 1
    assert again["timings"]["predicted_n"] == 4
    assert again["timings"]["predicted_per_second"] > 0
    assert again["choices"][0]["text"] == first["choices"][0]["text"]


def test_eight_streams_go_on_rightly_and_as_alone(client: httpx.Client) -> None:
    """Eight counting prompts at once each continue their own count, as they do alone."""

    def count_on(first: int) -> str:
        prompt = "".join(f"{n}, " for n in range(first, first + 10)).strip()
        body = {"prompt": prompt, "max_tokens": 16, "stream": True}
        text = ""
        with client.stream("POST", "/v1/completions", json=body) as response:
            for line in response.iter_lines():
                if line.startswith("data: {"):
                    text += json.loads(line[6:])["choices"][0]["text"]
        return text

    starts = [10 * i + 1 for i in range(8)]
    alone = [count_on(first) for first in starts]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(count_on, starts))
    assert together == alone
    for first, text in zip(starts, together, strict=True):
        expected = "".join(f" {n}," for n in range(first + 10, first + 13))
        assert text.startswith(expected)


def test_engine_agrees_with_its_memory_afterwards(client: httpx.Client) -> None:
    """After all that, the scheduler's ledger and llama.cpp's memory agree."""
    client.post("/v1/completions", json={"prompt": "The end", "max_tokens": 2})
    assert client.post("/test/engine").json() == {"ledger": "agrees"}
