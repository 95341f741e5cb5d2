"""The public Anthropic client against a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anthropic
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.serving import Server

FRANCE: Any = [{"role": "user", "content": "What is the capital of France?"}]
SYSTEM = "You are a helpful assistant."
ASKED: Any = {"model": "any", "max_tokens": 50, "system": SYSTEM, "messages": FRANCE}


@pytest.fixture
def public(server: Server) -> Iterator[anthropic.Anthropic]:
    """The public client, unchanged."""
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as client:
        yield client


def told(message: Any) -> dict[str, Any]:
    """Return all of a message that two answers to one request share."""
    told: dict[str, Any] = message.model_dump(exclude_none=True)
    del told["id"]
    # The second request finds in the cache what the first one computed.
    usage = told["usage"]
    usage["input_tokens"] += usage.pop("cache_read_input_tokens")
    return told


def test_public_client_gets_a_message(public: anthropic.Anthropic) -> None:
    """The public client gets a right answer with counted tokens."""
    message = public.messages.create(**ASKED)
    (block,) = message.content
    assert block.type == "text"
    assert "Paris" in block.text
    assert message.stop_reason == "end_turn"
    assert 0 < message.usage.output_tokens < 50


def test_public_client_streams_the_same_message(public: anthropic.Anthropic) -> None:
    """What the client puts together of a stream is the message that comes whole."""
    whole = public.messages.create(**ASKED)
    with public.messages.stream(**ASKED) as stream:
        texts = list(stream.text_stream)
        streamed = stream.get_final_message()
    assert told(streamed) == told(whole)
    assert "".join(texts) == whole.content[0].text
    assert len(texts) > 3


def test_system_prompt_is_heard(public: anthropic.Anthropic) -> None:
    """The system prompt is part of the prompt, as one string or as blocks."""
    longer: Any = [
        {"type": "text", "text": SYSTEM},
        {"type": "text", "text": "Say arrr in each line."},
    ]
    n_tokens = [
        public.messages.count_tokens(model="any", messages=FRANCE, system=system).input_tokens
        for system in (SYSTEM, longer)
    ]
    assert n_tokens[1] > n_tokens[0]
    other = public.messages.create(**{**ASKED, "system": longer})
    assert told(other)["content"] != told(public.messages.create(**ASKED))["content"]


def test_stop_sequence_is_named(public: anthropic.Anthropic) -> None:
    """The text ends before the string, and the message says which it was."""
    message = public.messages.create(**ASKED, stop_sequences=["nowhere", " Paris"])
    assert message.stop_reason == "stop_sequence"
    assert message.stop_sequence == " Paris"
    assert "Paris" not in message.content[0].text


def test_limit_is_named(public: anthropic.Anthropic) -> None:
    """An answer that was cut says so, and has as many tokens as were asked for."""
    message = public.messages.create(model="any", max_tokens=3, messages=FRANCE)
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == 3


def test_prefill_is_continued(public: anthropic.Anthropic) -> None:
    """A last message by the assistant is gone on with, not answered."""
    prefill: Any = {"role": "assistant", "content": "The capital of France is"}
    message = public.messages.create(
        model="any", max_tokens=8, system=SYSTEM, messages=[*FRANCE, prefill]
    )
    text = message.content[0].text  # type: ignore[union-attr]
    assert "Paris" in text
    assert not text.startswith("The capital")


def test_tokens_are_counted_as_charged(public: anthropic.Anthropic) -> None:
    """The count is what the message's usage adds up to."""
    count = public.messages.count_tokens(model="any", messages=FRANCE, system="Be brief.")
    message = public.messages.create(model="any", max_tokens=2, messages=FRANCE, system="Be brief.")
    usage = message.usage
    assert count.input_tokens == usage.input_tokens + (usage.cache_read_input_tokens or 0)


def test_repeated_prompt_is_read_from_the_cache(public: anthropic.Anthropic) -> None:
    """All but the last token of a prompt that was just computed are cached."""
    messages: Any = [{"role": "user", "content": "Name seven silver sails of the sea."}]
    request: Any = {"model": "any", "max_tokens": 2, "messages": messages}
    public.messages.create(**request)
    assert public.messages.create(**request).usage.input_tokens == 1


def test_errors_are_the_clients_own_classes(public: anthropic.Anthropic) -> None:
    """A bad request raises the class that the client has for it, with the path."""
    with pytest.raises(anthropic.BadRequestError, match=r"messages must not be empty"):
        public.messages.create(model="any", max_tokens=5, messages=[])
