"""The public Ollama client against a real server."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import jsonschema
import ollama
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.serving import Server

pytestmark = [pytest.mark.e2e, pytest.mark.model]

QUESTION = "What is the capital of France?"
SYSTEM = "You are a helpful assistant."
FRANCE: Any = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
SCHEMA: Any = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "is_large": {"type": "boolean"}},
    "required": ["city", "is_large"],
}


def weather(city: str) -> str:
    """Tell the weather.

    Args:
        city: the name of a city.
    """
    return f"sunny in {city}"


@pytest.fixture
def public(server: Server) -> Iterator[ollama.Client]:
    """The public client, unchanged."""
    with ollama.Client(host=server.url) as client:
        yield client


@pytest.fixture
def model(model_path: Path) -> str:
    """A name of the model."""
    return f"{model_path.stem}:latest"


def counts(answer: Any) -> tuple[Any, ...]:
    """Return what two answers to one request share, beside their text."""
    return (answer.model, answer.done_reason, answer.prompt_eval_count, answer.eval_count)


def test_public_client_gets_a_text(public: ollama.Client, model: str, model_path: Path) -> None:
    """A right answer with counted tokens and durations, whole and streamed the same."""
    whole = public.generate(model, QUESTION, system=SYSTEM)
    assert "Paris" in str(whole.response)
    assert whole.model == model_path.name
    assert (whole.done, whole.done_reason) == (True, "stop")
    assert 0 < whole.eval_count < 200  # type: ignore[operator]
    assert whole.total_duration >= whole.prompt_eval_duration + whole.eval_duration > 0  # type: ignore[operator]
    *pieces, last = public.generate(model, QUESTION, system=SYSTEM, stream=True)
    assert "".join(piece.response or "" for piece in pieces) == whole.response
    assert counts(last) == counts(whole)
    assert list(last.context or ()) == list(whole.context or ())
    # How many there are depends on how busy the machine is.
    assert len(pieces) > 1


def test_public_client_gets_a_message(public: ollama.Client, model: str) -> None:
    """A chat is answered, whole and streamed the same, on Ollama's own path."""
    whole = public.chat(model, FRANCE)
    assert "Paris" in str(whole.message.content)
    *pieces, last = public.chat(model, FRANCE, stream=True)
    assert "".join(piece.message.content or "" for piece in pieces) == whole.message.content
    assert counts(last) == counts(whole)
    assert not any(piece.done for piece in pieces)


def test_async_client_is_answered_the_same(server: Server, model: str) -> None:
    """Two chats at once, and a text as a stream."""

    async def ask() -> tuple[Any, list[Any], str]:
        async with ollama.AsyncClient(host=server.url) as client:
            chats = await asyncio.gather(client.chat(model, FRANCE), client.chat(model, FRANCE))
            stream = await client.generate(model, QUESTION, system=SYSTEM, stream=True)
            text = "".join([piece.response or "" async for piece in stream])
            return await client.list(), list(chats), text

    listed, chats, text = asyncio.run(ask())
    assert listed.models[0].model
    assert chats[0].message.content == chats[1].message.content
    assert "Paris" in text


def test_system_prompt_is_heard(public: ollama.Client, model: str) -> None:
    """It is part of the prompt, so the prompt is longer."""
    longer = public.generate(model, QUESTION, system="Say arrr in each line. Be a pirate, always.")
    other = public.generate(model, QUESTION, system="Be brief.")
    assert longer.prompt_eval_count > other.prompt_eval_count  # type: ignore[operator]


def test_context_is_gone_on_after(public: ollama.Client, model: str) -> None:
    """The next context begins with the last one, and has every token that was counted."""
    first = public.generate(model, "My name is Alice.", system=SYSTEM, options={"num_predict": 20})
    context = list(first.context or ())
    second = public.generate(model, "What is my name?", context=context)
    told = list(second.context or ())
    assert told[: len(context)] == context
    assert len(told) == second.prompt_eval_count + second.eval_count  # type: ignore[operator]


def test_context_makes_the_chat_that_it_stands_for(public: ollama.Client, model: str) -> None:
    """What the model is given is the conversation as a chat has it, token by token."""
    first = public.generate(model, QUESTION, system=SYSTEM)
    context = list(first.context or ())
    second = public.generate(model, "And of Italy?", context=context)
    messages: Any = [
        *FRANCE,
        {"role": "assistant", "content": first.response},
        {"role": "user", "content": "And of Italy?"},
    ]
    chat = public.chat(model, messages)
    assert chat.prompt_eval_count == second.prompt_eval_count
    assert chat.message.content == second.response


def test_template_and_raw_are_the_same_text(public: ollama.Client, model: str) -> None:
    """A template of the request is put in place of the model's."""
    told = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    raw = public.generate(model, told, raw=True)
    template = "<|im_start|>user\n{{ .Prompt }}<|im_end|>\n<|im_start|>assistant\n{{ .Response }}"
    made = public.generate(model, QUESTION, template=template)
    assert made.response == raw.response
    assert counts(made) == counts(raw)
    assert raw.context is None


def test_options_are_honoured(public: ollama.Client, model: str) -> None:
    """Limit, stop strings and seed do what they say."""
    cut = public.generate(model, QUESTION, options={"num_predict": 3})
    assert (cut.done_reason, cut.eval_count) == ("length", 3)
    stopped = public.generate(model, QUESTION, system=SYSTEM, options={"stop": [" Paris"]})
    assert stopped.done_reason == "stop"
    assert "Paris" not in str(stopped.response)
    hot = ollama.Options(seed=7, temperature=1.5, num_predict=12)
    texts = {public.generate(model, QUESTION, options=hot).response for _ in range(2)}
    assert len(texts) == 1


def test_repeated_prompt_is_read_from_the_cache(server: Server, model: str) -> None:
    """All but the last token of a prompt that was just computed are cached."""
    import httpx

    body = {"model": model, "prompt": "Name nine silver sails of the sea.", "stream": False}
    for _ in range(2):
        told = httpx.post(f"{server.url}/api/generate", json=body, timeout=60).json()
    assert told["prompt_cache_hit_tokens"] == told["prompt_eval_count"] - 1
    ratio = told["prompt_cache_hit_tokens"] / told["prompt_eval_count"]
    assert told["prompt_cache_hit_ratio"] == ratio


def test_answer_has_the_form_of_its_schema(public: ollama.Client, model: str) -> None:
    """A schema and "json" hold the answer, streamed and not."""
    whole = public.chat(model, FRANCE, format=SCHEMA)
    jsonschema.validate(json.loads(str(whole.message.content)), SCHEMA)
    pieces = public.chat(model, FRANCE, format=SCHEMA, stream=True)
    assert "".join(piece.message.content or "" for piece in pieces) == whole.message.content
    text = public.generate(model, "Describe Paris as JSON.", format="json")
    if text.done_reason == "stop":
        assert isinstance(json.loads(str(text.response)), dict)
    else:
        assert str(text.response).lstrip().startswith("{")


def test_tools_are_called_and_answered(public: ollama.Client, model: str) -> None:
    """A Python function is a tool; its call has an object, and the chat goes on after it."""
    asked: Any = [{"role": "user", "content": "What is the weather in Rome? Call the function."}]
    call = {"function": {"name": "weather", "arguments": {"city": "Rome"}}}
    history: Any = [*asked, {"role": "assistant", "content": "", "tool_calls": [call]}]
    result = {"role": "tool", "content": weather("Rome"), "tool_name": "weather"}
    answer = public.chat(model, [*history, result], tools=[weather])
    assert answer.message.content or answer.message.tool_calls
    bare = public.chat(model, asked)
    told = public.chat(model, asked, tools=[weather])
    assert told.prompt_eval_count > bare.prompt_eval_count + 20  # type: ignore[operator]
    pieces = list(public.chat(model, asked, tools=[weather], stream=True))
    streamed = [call for piece in pieces for call in piece.message.tool_calls or ()]
    assert streamed == list(told.message.tool_calls or ())
    for made in streamed:
        assert made.function.name == "weather"
        assert set(made.function.arguments) == {"city"}


def test_log_probabilities_are_told(public: ollama.Client, model: str) -> None:
    """Each token of the answer has its own."""
    options = {"num_predict": 4}
    told = public.generate(model, QUESTION, logprobs=True, top_logprobs=2, options=options)
    assert len(told.logprobs or ()) == 4
    assert "".join(item.token for item in told.logprobs or ()) == told.response


def test_model_is_listed_shown_and_running(
    public: ollama.Client, model: str, model_path: Path
) -> None:
    """What the client reads of the model is the file's, and it never expires."""
    (listed,) = public.list().models
    assert listed.model == model_path.name
    assert listed.size == model_path.stat().st_size
    assert listed.details is not None
    assert listed.details.quantization_level == "Q4_1"
    assert listed.details.parameter_size == "134.52M"
    shown = public.show(model)
    assert shown.modified_at == listed.modified_at
    assert "<|im_start|>" in str(shown.template)
    assert shown.capabilities == ["completion", "tools"]
    assert shown.modelinfo is not None
    assert shown.modelinfo["llama.block_count"] == 30
    assert shown.modelinfo["general.architecture"] == "llama"
    assert shown.modelinfo["tokenizer.ggml.tokens"] is None
    (running,) = public.ps().models
    assert (running.model, running.digest) == (listed.model, listed.digest)
    assert running.context_length == 2048
    assert running.expires_at is not None
    assert running.expires_at > datetime.now(timezone.utc)


def test_errors_are_the_clients_own(public: ollama.Client, model: str) -> None:
    """An unknown model is a 404 and a bad request a 400, streamed or not."""
    with pytest.raises(ollama.ResponseError, match="'none:8b' not found") as missing:
        public.generate("none:8b", QUESTION)
    assert missing.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="not found"):
        list(public.chat("none", FRANCE, stream=True))
    with pytest.raises(ollama.ResponseError, match=r"options\.penalize_newline") as wrong:
        public.chat(model, FRANCE, options={"penalize_newline": False})
    assert wrong.value.status_code == 400
    with pytest.raises(ollama.ResponseError, match="was not made to fill in"):
        public.generate(model, "def f(", suffix="return 1")
    with pytest.raises(ollama.ResponseError, match="takes text only"):
        public.generate(model, QUESTION, images=[b"\x89PNG\r\n"])
    with pytest.raises(ollama.ResponseError, match="context"):
        public.generate(model, QUESTION, context=[10**6])


def test_model_is_loaded_already(public: ollama.Client, model: str) -> None:
    """A request that asks nothing is answered at once."""
    assert public.generate(model, keep_alive=0).done_reason == "load"
    assert public.chat(model, [], keep_alive="5m").done_reason == "load"
