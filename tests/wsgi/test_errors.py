"""The table of errors, and errors as clients see them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from pyllama import errors as library
from pyllama.errors import (
    Cancelled,
    ContextOverflow,
    Draining,
    EngineError,
    NativeError,
    PyllamaError,
    QueueFull,
    Unsupported,
)
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import ClientOf
from tests.wsgi.sse import events
from wsgi.errors import TABLE, describe

URL = "/v1/chat/completions"
BODY = {"messages": [{"role": "user", "content": "Hi"}]}


def family(cls: type[PyllamaError]) -> Iterator[type[PyllamaError]]:
    yield cls
    for child in cls.__subclasses__():
        yield from family(child)


def test_every_error_of_the_library_has_a_row() -> None:
    """A new class of error cannot be forgotten in the table."""
    own = {cls for cls in family(PyllamaError) if cls.__module__ == library.__name__}
    assert len(own) > 10
    assert own <= TABLE.keys()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("failure", "status", "kind"),
    [
        (ContextOverflow(5000, 4096), 400, "exceed_context_size_error"),
        (Unsupported("no images", param="messages"), 400, "invalid_request_error"),
        (QueueFull("the queue is full", retry_after_s=2.5), 429, "rate_limit_error"),
        (Draining("the server is shutting down"), 503, "unavailable_error"),
        (EngineError("the engine failed"), 500, "server_error"),
        (NativeError("llama_decode", -3), 500, "server_error"),
    ],
)
def test_error_before_the_first_byte_is_an_http_error(
    connect: ClientOf, failure: Exception, status: int, kind: str, *, stream: bool
) -> None:
    """What the engine refuses is refused with a status, also when a stream was asked for."""
    response = connect(FakeLlama(start_error=failure)).post(URL, json={**BODY, "stream": stream})
    error = response.json()["error"]
    assert response.status_code == error["code"] == status
    assert error["type"] == kind
    assert error["message"] == str(failure)
    assert error.keys() >= {"message", "type", "param", "code"}


def test_context_overflow_has_both_numbers(connect: ClientOf) -> None:
    """A client can tell how much too long its prompt is."""
    client = connect(FakeLlama(start_error=ContextOverflow(5000, 4096)))
    error = client.post(URL, json=BODY).json()["error"]
    assert error["n_prompt_tokens"] == 5000
    assert error["n_ctx"] == 4096
    assert "exceeds the available context size" in error["message"]


def test_full_queue_says_when_to_retry(connect: ClientOf) -> None:
    """Retry-After is in whole seconds, rounded up."""
    client = connect(FakeLlama(start_error=QueueFull("full", retry_after_s=2.5)))
    assert client.post(URL, json=BODY).headers["Retry-After"] == "3"


def test_unforeseen_error_shows_nothing_of_itself(
    connect: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets a plain 500; the log gets the traceback, once."""
    client = connect(FakeLlama(start_error=RuntimeError("secret")))
    with caplog.at_level(logging.ERROR, "pyllama.wsgi"):
        response = client.post(URL, json=BODY)
    assert response.status_code == 500
    assert response.json()["error"]["type"] == "server_error"
    assert "secret" not in response.text
    assert caplog.text.count("RuntimeError: secret") == 1


@pytest.mark.parametrize(
    ("failure", "status"),
    [(EngineError("it failed"), 500), (Cancelled("shutting down"), 503), (KeyError("secret"), 500)],
)
def test_failure_during_an_answer_is_its_status(
    connect: ClientOf, failure: Exception, status: int
) -> None:
    """An answer that is not streamed can still fail with a status."""
    llm = FakeLlama(["a", failure])
    response = connect(llm).post(URL, json=BODY)
    assert response.status_code == status
    assert llm.generations[0].was_aborted


@pytest.mark.parametrize(
    ("failure", "status"),
    [(EngineError("it failed"), 500), (Cancelled("shutting down"), 503), (KeyError("secret"), 500)],
)
def test_failure_during_a_stream_is_an_event(
    connect: ClientOf, failure: Exception, status: int
) -> None:
    """A stream that fails ends with an error event, and without [DONE]."""
    llm = FakeLlama(["a", failure, "b"])
    response = connect(llm).post(URL, json={**BODY, "stream": True})
    *_, text, error = events(response.text)
    assert response.status_code == 200
    assert text["choices"][0]["delta"] == {"content": "a"}
    assert error["error"]["code"] == status
    assert "secret" not in response.text
    assert llm.generations[0].was_aborted


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nothing/here", 404, "not_found_error"),
        ("POST", "/nothing/here", 404, "not_found_error"),
        ("GET", URL, 405, "invalid_request_error"),
        ("DELETE", "/health", 405, "invalid_request_error"),
    ],
)
def test_falcons_own_errors_have_the_shape_too(
    client: httpx.Client, method: str, path: str, status: int, kind: str
) -> None:
    """No answer of the server has another shape of error."""
    response = client.request(method, path)
    error = response.json()["error"]
    assert response.status_code == error["code"] == status
    assert error["type"] == kind
    assert error["message"]


def test_405_names_what_is_allowed(client: httpx.Client) -> None:
    """The Allow header is there."""
    assert "POST" in client.get(URL).headers["Allow"]


def test_head_of_a_post_route_has_no_body(client: httpx.Client, llm: FakeLlama) -> None:
    """HEAD starts nothing."""
    response = client.head(URL)
    assert (response.status_code, response.content) == (405, b"")
    assert not llm.generations


def test_subclass_without_a_row_has_its_parents() -> None:
    """A class that a later version of the library adds is answered like what it is."""
    newer: Any = type("Newer", (QueueFull,), {})
    assert describe(newer("full")).status == 429
