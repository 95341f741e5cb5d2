"""The public OpenAI client's responses against a real server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.serving import Server

FRANCE: Any = {
    "model": "any",
    "instructions": "You are a helpful assistant.",
    "input": "What is the capital of France?",
}


@pytest.fixture
def public(server: Server) -> Iterator[openai.OpenAI]:
    """The public client, unchanged."""
    url = f"{server.url}/v1"
    with openai.OpenAI(base_url=url, api_key="none", max_retries=0) as client:
        yield client


def told(response: Any) -> dict[str, Any]:
    """Return all of a response that two answers to one request share."""
    told: dict[str, Any] = response.model_dump(exclude={"id", "created_at"})
    for item in told["output"]:
        del item["id"]
        for part in item["content"]:
            part.pop("parsed", None)
    # The second request finds in the cache what the first one computed.
    del told["usage"]["input_tokens_details"]["cached_tokens"]
    return told


def test_public_client_gets_a_response(public: openai.OpenAI) -> None:
    """The public client gets a right answer with counted tokens."""
    response = public.responses.create(**FRANCE)
    assert "Paris" in response.output_text
    assert response.status == "completed"
    assert response.usage is not None
    assert 0 < response.usage.output_tokens < 50


def test_public_client_streams_the_same_response(public: openai.OpenAI) -> None:
    """What the client puts together of a stream is the response that comes whole."""
    whole = public.responses.create(**FRANCE)
    with public.responses.stream(**FRANCE) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        streamed = stream.get_final_response()
    assert told(streamed) == told(whole)
    assert "".join(deltas) == whole.output_text
    # How many there are depends on how busy the machine is.
    assert len(deltas) > 1


def test_limit_makes_it_incomplete(public: openai.OpenAI) -> None:
    """An answer that was cut says so, and has as many tokens as were asked for."""
    response = public.responses.create(**FRANCE, max_output_tokens=3)
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.usage is not None
    assert response.usage.output_tokens == 3


def test_conversation_goes_on_from_a_kept_answer(public: openai.OpenAI) -> None:
    """A response that goes on from another is the one to the whole conversation at once."""
    first = public.responses.create(**FRANCE)
    request: Any = {"model": "any", "instructions": FRANCE["instructions"], "max_output_tokens": 24}
    question = "And what is the capital of Italy?"
    second = public.responses.create(
        **request, input=question, previous_response_id=first.id, store=False
    )
    said: Any = [
        {"role": "user", "content": FRANCE["input"]},
        {"role": "assistant", "content": first.output_text},
        {"role": "user", "content": question},
    ]
    at_once = public.responses.create(**request, input=said)
    assert second.output_text == at_once.output_text
    assert second.usage is not None
    assert at_once.usage is not None
    assert second.usage.input_tokens == at_once.usage.input_tokens
    assert second.previous_response_id == first.id


def test_kept_answer_is_fetched_and_deleted(public: openai.OpenAI) -> None:
    """What was answered can be read again, until it is deleted."""
    response = public.responses.create(**FRANCE)
    assert public.responses.retrieve(response.id) == response
    public.responses.delete(response.id)
    with pytest.raises(openai.NotFoundError):
        public.responses.retrieve(response.id)
    with pytest.raises(openai.NotFoundError):
        public.responses.create(**FRANCE, previous_response_id=response.id)


def test_tokens_are_counted_as_charged(public: openai.OpenAI) -> None:
    """The count is the usage's input tokens."""
    count = public.responses.input_tokens.count(**FRANCE)
    response = public.responses.create(**FRANCE, max_output_tokens=1)
    assert response.usage is not None
    assert count.input_tokens == response.usage.input_tokens


def test_errors_are_the_clients_own_classes(public: openai.OpenAI) -> None:
    """A bad request raises the class that the client has for it, with the path."""
    with pytest.raises(openai.BadRequestError) as caught:
        public.responses.create(model="any", input=[{"role": "user"}])  # type: ignore[list-item]
    assert caught.value.param == "input[0].content"
