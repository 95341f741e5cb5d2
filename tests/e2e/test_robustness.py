"""Clients that leave, requests that are wrong, servers that are told to stop."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.serving import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = {"prompt": "Once upon a time", "max_tokens": 1500, "ignore_eos": True}


@pytest.fixture(scope="module")
def served_path(short_model_path: Path) -> Path:
    """The server's model, whose words do not matter."""
    return short_model_path


def status(client: httpx.Client) -> dict[str, Any]:
    """Ask the engine."""
    answer: dict[str, Any] = client.get("/test/engine").json()
    return answer


def wait_until(client: httpx.Client, *, timeout_s: float = 20, **wanted: int) -> float:
    """Wait for the engine to say so; return the seconds that it took."""
    start_s = time.monotonic()
    while time.monotonic() - start_s < timeout_s:
        now = status(client)
        if all(now[key] == value for key, value in wanted.items()):
            return time.monotonic() - start_s
        time.sleep(0.01)
    raise AssertionError(f"wanted {wanted}, the engine says {status(client)}")


@contextlib.contextmanager
def connected(server: Server, body: dict[str, Any]) -> Iterator[socket.socket]:
    """A bare connection that has sent a request; leaving the block closes it."""
    data = json.dumps(body).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        head = f"POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: {len(data)}\r\n\r\n"
        connection.sendall(head.encode() + data)
        yield connection


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
def test_client_that_leaves_frees_its_slot(
    server: Server, client: httpx.Client, *, stream: bool
) -> None:
    """The slot of a client that disconnects is free within half a second."""
    wait_until(client, n_busy=0)
    with connected(server, LONG | {"stream": stream}) as connection:
        wait_until(client, n_busy=1)
        if stream:
            assert connection.recv(64)
    assert wait_until(client, n_busy=0) < 0.5


def test_client_that_leaves_during_its_prompt_frees_its_slot(
    server: Server, client: httpx.Client
) -> None:
    """A prompt of 1,900 tokens is given up in its middle."""
    wait_until(client, n_busy=0)
    prompt = [1000 + i for i in range(1900)]
    with connected(server, {"prompt": prompt, "max_tokens": 5, "cache_prompt": False}):
        wait_until(client, n_busy=1)
        time.sleep(0.2)
        assert status(client)["n_busy"] == 1
    assert wait_until(client, n_busy=0) < 0.5


def test_client_that_leaves_the_queue_never_gets_a_slot(
    server: Server, client: httpx.Client
) -> None:
    """A ninth request waits behind eight; when its client leaves, nothing waits any more."""
    wait_until(client, n_busy=0)
    with contextlib.ExitStack() as busy:
        for _ in range(8):
            busy.enter_context(connected(server, LONG))
        wait_until(client, n_busy=8)
        with connected(server, LONG):
            wait_until(client, n_waiting=1)
        assert wait_until(client, n_waiting=0, n_busy=8) < 0.5
    wait_until(client, n_busy=0)


BAD = [
    ("/v1/chat/completions", b"{", 400, None),
    ("/v1/chat/completions", b"[]", 400, None),
    ("/v1/chat/completions", b"\xff\xfe", 400, None),
    ("/v1/chat/completions", b"{}", 400, "messages"),
    ("/v1/chat/completions", b'{"messages": []}', 400, "messages"),
    ("/v1/chat/completions", b'{"messages": "hi"}', 400, "messages"),
    ("/v1/chat/completions", b'{"messages": [{"role": "nobody", "content": ""}]}', 400,
     "messages[0].role"),
    ("/v1/completions", b'{"prompt": "a", "max_tokens": "ten"}', 400, "max_tokens"),
    ("/v1/completions", b'{"prompt": "a", "temperature": true}', 400, "temperature"),
    ("/v1/completions", b'{"prompt": [999999999]}', 400, "prompt[0]"),
    ("/v1/completions", b'{"prompt": ""}', 400, "prompt"),
    ("/v1/completions", b'{"prompt": "a", "stop": [1]}', 400, "stop[0]"),
    ("/v1/unknown", b"{}", 404, None),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "code", "param"), BAD)
def test_bad_input_is_refused_and_the_next_request_works(
    client: httpx.Client, path: str, body: bytes, code: int, param: str | None
) -> None:
    """Bad input is an error in OpenAI's shape that names the field; the server goes on."""
    response = client.post(path, content=body)
    error = response.json()["error"]
    assert response.status_code == code == error["code"]
    assert error["message"]
    assert error["param"] == param
    after = client.post("/v1/completions", json={"prompt": "1, 2, 3,", "max_tokens": 2})
    assert after.status_code == 200


def test_prompt_longer_than_the_context(client: httpx.Client) -> None:
    """Too long a prompt says how long it is and what would fit."""
    response = client.post("/v1/completions", json={"prompt": [5] * 2048, "max_tokens": 1})
    error = response.json()["error"]
    assert response.status_code == 400
    assert error["type"] == "exceed_context_size_error"
    assert (error["n_prompt_tokens"], error["n_ctx"]) == (2048, 2048)


def test_wrong_verb(client: httpx.Client) -> None:
    """A wrong verb is 405 and names the right one."""
    response = client.get("/v1/chat/completions")
    assert response.status_code == 405
    assert "POST" in response.headers["allow"]
    assert response.json()["error"]["code"] == 405


def serving(model: Path, **environ: str) -> Server:
    """A server of a model file, settings from the environment."""
    return Server(
        *("-c", "python:wsgi.gunicorn_conf", "wsgi:app"),
        environ={
            "LLAMA_ARG_MODEL": str(model),
            "LLAMA_ARG_CTX_SIZE": "4096",
            "LLAMA_ARG_THREADS": "1",
            **environ,
        },
    )


def children(pid: int) -> list[int]:
    """Return the processes that a process started."""
    listing = Path(f"/proc/{pid}/task/{pid}/children")
    if not listing.exists():
        pytest.skip("this system does not list a process's children")
    return [int(child) for child in listing.read_text().split()]


def test_sigterm_during_a_stream_ends_it_whole(short_model_path: Path) -> None:
    """SIGTERM lets a running stream end with its [DONE], and the server exits with 0."""
    with serving(short_model_path, LLAMA_ARG_N_PARALLEL="2", PYLLAMA_DRAIN_S="120") as server:
        server.ready()
        workers = children(server.process.pid)
        lines: list[str] = []
        has_begun = threading.Event()

        def read() -> None:
            body = LONG | {"stream": True, "max_tokens": 300}
            with httpx.stream("POST", f"{server.url}/v1/completions", json=body, timeout=120) as r:
                for line in r.iter_lines():
                    has_begun.set()
                    if line:
                        lines.append(line)

        reader = threading.Thread(target=read)
        reader.start()
        assert has_begun.wait(60)
        server.terminate()
        reader.join(120)
        assert server.exit_status(120) == 0
    assert workers
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
    assert lines[-1] == "data: [DONE]"
    chunks = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    assert chunks[-1]["choices"][0]["finish_reason"] == "length"
    assert chunks[-1]["timings"]["predicted_n"] == 300
    assert "Traceback" not in server.log


def broken(kind: str, model_path: Path, folder: Path) -> Path:
    """A model file that is not one."""
    path = folder / "model.gguf"
    if kind == "truncated":
        path.write_bytes(model_path.read_bytes()[:50_000_000])
    elif kind == "text":
        path.write_text("This is not a model.\n" * 100)
    elif kind == "empty":
        path.touch()
    return path


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "no such file"),
        ("truncated", "truncated"),
        ("text", "not a GGUF"),
        ("empty", "GGUF"),
    ],
)
def test_broken_model_file_stops_the_server_with_a_clear_line(
    kind: str, words: str, model_path: Path, tmp_path: Path
) -> None:
    """A missing, truncated or foreign file ends the start with one line that names it."""
    path = broken(kind, model_path, tmp_path)
    with serving(path) as server:
        assert server.exit_status(30) != 0
    (line,) = [line for line in server.log.splitlines() if line.startswith("pyllama: ")]
    assert str(path) in line
    assert words.lower() in line.lower()
    assert "Traceback" not in server.log


def test_server_starts_from_another_folder(short_model_path: Path, tmp_path: Path) -> None:
    """The installed package serves from any folder, and reports itself ready."""
    command = ("-c", "python:wsgi.gunicorn_conf", "wsgi:app")
    environ = {"LLAMA_ARG_MODEL": str(short_model_path), "LLAMA_ARG_CTX_SIZE": "2048"}
    with Server(*command, environ=environ, cwd=tmp_path) as server:
        server.ready()
        answer = httpx.get(f"{server.url}/v1/models", timeout=10).json()
        assert answer["data"][0]["meta"]["n_ctx"] == 512
