"""Embeddings in every dialect, over a fake model."""

from __future__ import annotations

import base64
import logging
import socket
import struct
import time
from dataclasses import replace
from typing import Any

import httpx
import pytest

from pyllama.errors import ContextOverflow, ModelLoadError, QueueFull
from pyllama.interruption import Interruptible
from tests.support.fake_llama import INFO, FakeLlama
from tests.wsgi.conftest import ClientOf
from wsgi.client import ClientGone, ClientWatch
from wsgi.embedding import embed
from wsgi.request_log import RequestRecord

ROUTES: dict[str, dict[str, Any]] = {
    "/v1/embeddings": {"input": "abc"},
    "/embeddings": {"content": "abc"},
    "/embedding": {"input": "abc"},
    "/api/embed": {"model": INFO.id, "input": "abc"},
    "/api/embeddings": {"model": INFO.id, "prompt": "abc"},
}


def test_openai_gets_a_list(client: httpx.Client, llm: FakeLlama) -> None:
    """Texts and tokens in one request, each with its index; the tokens are counted."""
    answer = client.post("/v1/embeddings", json={"input": ["abc", [1, 2]], "model": "x"}).json()
    assert answer == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [3.0, 1.0]},
            {"object": "embedding", "index": 1, "embedding": [2.0, 1.0]},
        ],
        "model": INFO.id,
        "usage": {"prompt_tokens": 5, "total_tokens": 5},
    }
    assert llm.embeddings[0].options == {"normalize": None, "dimensions": None}


def test_base64_is_of_little_endian_floats(client: httpx.Client) -> None:
    """Four bytes a number, as OpenAI's own client reads them."""
    answer = client.post("/v1/embeddings", json={"input": "abc", "encoding_format": "base64"})
    data = base64.b64decode(answer.json()["data"][0]["embedding"])
    assert struct.unpack("<2f", data) == (3.0, 1.0)


def test_what_is_asked_reaches_the_model(client: httpx.Client, llm: FakeLlama) -> None:
    """Widths and norms are whole numbers, also where JSON writes them otherwise."""
    body = {"input": "abc", "dimensions": 2.0, "embd_normalize": 1, "user": "me"}
    assert client.post("/v1/embeddings", json=body).status_code == 200
    assert llm.embeddings[0].options == {"normalize": 1, "dimensions": 2}


@pytest.mark.parametrize("name", ["content", "input"])
def test_native_route_gives_rows(client: httpx.Client, name: str) -> None:
    """A list of rows for each input, under both names of the field."""
    answer = client.post("/embeddings", json={name: ["abc", "d"]}).json()
    assert answer == [
        {"index": 0, "embedding": [[3.0, 1.0]]},
        {"index": 1, "embedding": [[1.0, 1.0]]},
    ]


def test_ollama_gets_vectors_and_durations(client: httpx.Client, llm: FakeLlama) -> None:
    """One vector a text; texts are cut unless the request forbids it."""
    body = {"model": "fake:latest", "input": ["abc", "d"], "dimensions": 1}
    answer = client.post("/api/embed", json=body).json()
    assert answer.pop("total_duration") > 0
    assert answer == {
        "model": "fake:latest",
        "embeddings": [[3.0, 1.0], [1.0, 1.0]],
        "load_duration": 0,
        "prompt_eval_count": 4,
    }
    assert llm.embeddings[0].options == {"dimensions": 1, "truncate": True}
    client.post("/api/embed", json={**body, "truncate": False})
    assert llm.embeddings[1].options["truncate"] is False


def test_ollamas_first_route_gives_one_vector(client: httpx.Client) -> None:
    """Its name for the text is prompt."""
    body = {"model": INFO.id, "prompt": "abc", "options": {"temperature": 0.5}, "keep_alive": "5m"}
    assert client.post("/api/embeddings", json=body).json() == {"embedding": [3.0, 1.0]}


@pytest.mark.parametrize("empty", [{}, {"input": ""}, {"input": []}, {"prompt": ""}])
def test_ollama_without_a_text_gives_a_sign_of_life(
    client: httpx.Client, llm: FakeLlama, empty: dict[str, Any]
) -> None:
    """Clients load a model that way."""
    answer = client.post("/api/embed", json={"model": INFO.id, **empty}).json()
    assert (answer["embeddings"], answer["prompt_eval_count"]) == ([], 0)
    single = client.post("/api/embeddings", json={"model": INFO.id, **empty})
    assert single.json() == {"embedding": []}
    assert llm.embeddings == []


@pytest.mark.parametrize("path", ["/api/embed", "/api/embeddings"])
def test_another_model_is_not_found(client: httpx.Client, path: str) -> None:
    """In Ollama's dialect names are looked at."""
    response = client.post(path, json={"model": "other", "input": "a", "prompt": "a"})
    assert response.status_code == 404
    assert "other" in response.json()["error"]


@pytest.mark.parametrize("path", ["/api/embed", "/api/embeddings"])
def test_options_are_honoured_or_refused(client: httpx.Client, path: str) -> None:
    """As those of an answer are."""
    body = {**ROUTES[path], "options": {"tfs_z": 2}}
    response = client.post(path, json=body)
    assert response.status_code == 400
    assert "tfs_z" in response.json()["error"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/embeddings", {}, "input"),
        ("/v1/embeddings", {"input": []}, "input"),
        ("/v1/embeddings", {"input": ""}, "input"),
        ("/v1/embeddings", {"input": [{}]}, "input[0]"),
        ("/v1/embeddings", {"input": "a", "encoding_format": "hex"}, "encoding_format"),
        ("/v1/embeddings", {"input": "a", "dimensions": 0}, "dimensions"),
        ("/v1/embeddings", {"input": "a", "embd_normalize": -2}, "embd_normalize"),
        ("/embeddings", {}, "content"),
        ("/embeddings", {"content": ""}, "content"),
        ("/embeddings", {"input": ""}, "input"),
    ],
)
def test_bad_bodies_name_the_field(
    client: httpx.Client, path: str, body: dict[str, Any], param: str
) -> None:
    """Each is a 400."""
    response = client.post(path, json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ContextOverflow(99, 64, param="input"), 400),
        (QueueFull("full"), 429),
        (ModelLoadError("m.gguf", "no memory"), 503),
    ],
    ids=["too long", "full", "no memory"],
)
def test_errors_have_their_status(
    connect: ClientOf, path: str, error: Exception, status: int
) -> None:
    """In every dialect."""
    client = connect(FakeLlama(start_error=error))
    response = client.post(path, json=ROUTES[path])
    assert response.status_code == status
    assert str(error) in str(response.json()["error"])


@pytest.mark.parametrize("path", ["/v1/embeddings", "/api/embed", "/api/embeddings"])
def test_rows_of_tokens_are_no_vectors(connect: ClientOf, path: str) -> None:
    """Without pooling only the native route has an answer."""
    llm = FakeLlama()
    llm.info = replace(INFO, pooling="none")
    client = connect(llm)
    response = client.post(path, json=ROUTES[path])
    assert response.status_code == 400
    assert "--pooling none" in str(response.json()["error"])
    assert client.post("/embeddings", json={"content": "a"}).status_code == 200


def test_figures_are_in_the_log_and_texts_are_not(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """One line a request."""
    with caplog.at_level(logging.INFO, "pyllama.request"):
        client.post("/v1/embeddings", json={"input": ["secret", "words"]})
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    assert "prompt_tokens=11 inputs=2 queue_ms=1.0 compute_ms=2.0" in line
    assert "secret" not in line


def test_a_client_that_leaves_ends_its_request() -> None:
    """Within the time in which it is noticed, and not at the end of the work."""
    llm = FakeLlama()
    llm.embed_s = 30.0
    server, client = socket.socketpair()
    request: Any = type("Request", (), {})()
    request.env = {"gunicorn.socket": server}
    context = {"record": RequestRecord("id", "POST"), "interruptible": Interruptible(lambda: None)}
    request.context = type("Context", (), context)()
    client.close()
    assert ClientWatch(request.env).gone()
    start_s = time.monotonic()
    model: Any = llm
    with server, pytest.raises(ClientGone):
        embed(request, model, "abc")
    assert time.monotonic() - start_s < 10
    assert llm.embeddings[0].is_closed


def test_capabilities_say_what_a_model_is_for(connect: ClientOf) -> None:
    """An encoder embeds and completes nothing."""
    llm = FakeLlama()
    llm.info = replace(INFO, can_generate=False)
    shown = connect(llm).post("/api/show", json={"model": INFO.id}).json()["capabilities"]
    assert shown == ["embedding"]
