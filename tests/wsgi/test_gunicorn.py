"""The server under a real gunicorn: streams, clients that leave, SIGTERM, failures at the start."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from tests.support import serving
from tests.wsgi.serving import Server

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="gunicorn needs fork")

CHAT = {"messages": [{"role": "user", "content": "Hi"}]}
NOTICE_S = 0.5  # 250 ms are promised; the rest is for a machine that does other things too


@pytest.fixture(scope="module")
def slow() -> Iterator[serving.Server]:
    """A model that writes ten words in 0.6 seconds."""
    with Server(script=[x for i in range(10) for x in (0.06, f"w{i} ")]) as server:
        yield server.ready()


@pytest.fixture(scope="module")
def queued() -> Iterator[serving.Server]:
    """A model that has not begun to write when the test ends."""
    with Server(script=[30.0, "late"]) as server:
        yield server.ready()


def chat(server: Server, **options: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/v1/chat/completions", json={**CHAT, **options}, timeout=20)


def words(text: str) -> str:
    """Return the text of a stream."""
    events = [line[6:] for line in text.splitlines() if line.startswith("data: {")]
    choices = [choice for event in events for choice in orjson.loads(event)["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def leave(server: Server, request_id: str, *, stream: bool, after_s: float) -> float:
    """Send a request, close the connection; returns when."""
    body = orjson.dumps({**CHAT, "stream": stream})
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
        f"X-Request-Id: {request_id}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
        client.sendall(head.encode() + body)
        time.sleep(after_s)
    return time.monotonic()


def test_two_streams_run_at_once(slow: Server) -> None:
    """Two streams take no longer than one."""
    texts: list[str] = []
    threads = [
        threading.Thread(target=lambda: texts.append(chat(slow, stream=True).text))
        for _ in range(2)
    ]
    start_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - start_s < 1.0
    assert [words(text) for text in texts] == ["w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 "] * 2


def test_events_arrive_one_by_one(slow: Server) -> None:
    """The first event arrives long before the last one is written."""
    body = {**CHAT, "stream": True}
    start_s = time.monotonic()
    with httpx.stream("POST", f"{slow.url}/v1/chat/completions", json=body) as response:
        lines = response.iter_lines()
        next(lines)
        first_s = time.monotonic() - start_s
        rest = list(lines)
    assert first_s < 0.4
    assert "data: [DONE]" in rest


@pytest.mark.parametrize("stream", [True, False])
def test_client_that_leaves_while_tokens_flow_is_noticed(slow: Server, *, stream: bool) -> None:
    """A client that leaves during the answer is noticed, streamed or not."""
    request_id = f"flow-{stream}"
    left_s = leave(slow, request_id, stream=stream, after_s=0.2)
    noticed_s = slow.logged(f"request_id={request_id}") - left_s
    assert noticed_s < NOTICE_S
    line = next(line for _, line in slow.lines if request_id in line)
    assert "finish=cancelled" in line


@pytest.mark.parametrize("stream", [True, False])
def test_client_that_leaves_the_queue_is_noticed(queued: Server, *, stream: bool) -> None:
    """A client that leaves before the first token is noticed, though nothing is written."""
    request_id = f"queue-{stream}"
    left_s = leave(queued, request_id, stream=stream, after_s=0.1)
    noticed_s = queued.logged(f"request_id={request_id}") - left_s
    assert noticed_s < NOTICE_S


def test_chunked_body_is_read(slow: Server) -> None:
    """A body of unknown length works."""
    content = iter([orjson.dumps({**CHAT, "max_tokens": 3})])
    response = httpx.post(f"{slow.url}/v1/chat/completions", content=content, timeout=10)
    assert response.status_code == 200


def test_connection_outlives_a_refused_request(slow: Server) -> None:
    """After a 400 and a 405 the same connection serves the next request."""
    with httpx.Client(base_url=slow.url) as client:
        assert client.post("/v1/chat/completions", content=b"{").status_code == 400
        assert client.get("/v1/chat/completions").status_code == 405
        assert client.get("/health").status_code == 200


def test_name_that_was_made_to_lead_here_is_refused(slow: Server) -> None:
    """A page whose name leads to this machine is not taken for the server's own."""
    for name, status in (("evil.example", 403), ("localhost", 200)):
        place = f"{name}:{slow.port}"
        headers = {"Host": place, "Origin": f"http://{place}"}
        body = {**CHAT, "max_tokens": 1}
        answer = httpx.post(f"{slow.url}/v1/chat/completions", json=body, headers=headers)
        assert answer.status_code == status


def test_sigterm_lets_a_stream_end_whole() -> None:
    """A stream that runs at SIGTERM ends with [DONE], new requests get 503, the status is 0."""
    with Server(script=[x for i in range(15) for x in (0.1, f"w{i} ")]) as server:
        server.ready()
        body = {**CHAT, "stream": True}
        url = f"{server.url}/v1/chat/completions"
        with httpx.Client() as idle, httpx.stream("POST", url, json=body, timeout=20) as response:
            assert idle.get(f"{server.url}/health").status_code == 200
            lines = response.iter_lines()
            next(lines)
            server.terminate()
            time.sleep(0.3)
            refused = idle.post(url, json=CHAT)  # on a connection that is open already
            rest = list(lines)
        assert refused.status_code == 503
        assert "Retry-After" in refused.headers
        assert rest[-2] == "data: [DONE]"
        assert "w14 " in "".join(rest)
        assert server.exit_status() == 0
        assert "was sent" not in server.log  # that is, nobody had to be killed


def test_sigterm_deadline_ends_streams_with_an_error() -> None:
    """A stream that outlasts the drain ends with a well-formed error, within the timeout."""
    with Server(script=["a", 60.0, "b"], drain_s=2.0) as server:
        server.ready()
        body = {**CHAT, "stream": True}
        url = f"{server.url}/v1/chat/completions"
        with httpx.stream("POST", url, json=body, timeout=20) as response:
            lines = response.iter_lines()
            next(lines)
            server.terminate()
            start_s = time.monotonic()
            events = [line for line in lines if line]
        assert orjson.loads(events[-1].removeprefix("data: "))["error"]["code"] == 503
        assert server.exit_status() == 0
        assert time.monotonic() - start_s < 2.5
        assert "was sent" not in server.log


def test_sigint_aborts_and_ends() -> None:
    """SIGINT does not wait for what runs."""
    with Server(script=["a", 60.0, "b"]) as server:
        server.ready()
        body = {**CHAT, "stream": True}
        url = f"{server.url}/v1/chat/completions"
        with httpx.stream("POST", url, json=body, timeout=20) as response:
            next(response.iter_lines())
            server.process.send_signal(signal.SIGINT)
            assert server.exit_status(8) == 0


def test_health_is_503_while_loading() -> None:
    """The server listens before the model is there, and a SIGTERM then ends it."""
    with Server(load_s=60.0) as server:
        server.logged("Booting worker", 20)  # the master listens before it forks
        response = httpx.get(f"{server.url}/health", timeout=20)
        assert response.status_code == 503
        assert response.json()["error"]["message"] == "Loading model"
        server.terminate()
        assert server.exit_status(8) == 0


def test_load_failure_stops_the_master() -> None:
    """A model that cannot be loaded ends the server with one line, not with new workers."""
    with Server(load_error="the tensors make no sense.") as server:
        assert server.exit_status(20) != 0
        assert "model not loaded: fake.gguf: the tensors make no sense." in server.log
        assert "Traceback" not in server.log
        assert server.log.count("Booting worker") == 1


@pytest.mark.parametrize("stage", ["config_error", "resolve_error"])
def test_failure_before_the_fork_is_one_line(stage: str) -> None:
    """Wrong settings and a missing model end the master with status 1 and one line."""
    with Server(**{stage: "this is wrong"}) as server:
        assert server.exit_status(20) == 1
        assert "this is wrong" in server.log
        assert "Traceback" not in server.log
        assert "Booting worker" not in server.log
