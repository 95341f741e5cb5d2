"""The page's API under gunicorn with the real model."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.support.serving import Server
from tests.wsgi.sse import events

LIMIT = 500 * 1024 * 1024
MARGIN_BYTES = 50 * 1024 * 1024
HEAD = b'--B\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\n'
FORM = {"Content-Type": "multipart/form-data; boundary=B"}
PIECE = b"a" * (1 << 20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the server keeps its temporary files."""
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def single(short_model_path: Path, folder: Path) -> Iterator[Server]:
    """A server with two slots of 1,024 tokens."""
    environ = {
        "LLAMA_ARG_MODEL": str(short_model_path),
        "LLAMA_ARG_CTX_SIZE": "2048",
        "LLAMA_ARG_N_PARALLEL": "2",
        "LLAMA_ARG_THREADS": "1",
        "TMPDIR": str(folder),
    }
    arguments = ("-c", "python:wsgi.gunicorn_conf", "wsgi:app")
    with Server(*arguments, environ=environ) as server:
        yield server.ready()
    assert list(folder.glob("pyllama-uploads-*")) == [], "the files go with the server"


@pytest.fixture
def page(single: Server) -> Iterator[httpx.Client]:
    """A client of that server."""
    with httpx.Client(base_url=single.url, timeout=60) as client:
        yield client


def body(text: str, **options: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], "temperature": 0, **options}


def stream(client: httpx.Client, text: str, **options: Any) -> list[Any]:
    response = client.post("/api/chat", json=body(text, **options))
    assert response.status_code == 200, response.text
    return events(response.text)


def text_of(told: list[Any]) -> str:
    return "".join(event.get("token", "") for event in told)


def rss_bytes(server: Server) -> int:
    """Return the memory of the worker, the master's only child."""
    pid = server.process.pid
    (worker,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    lines = Path(f"/proc/{worker}/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def test_streams_say_what_whole_answers_say(page: httpx.Client) -> None:
    """The same tokens, counted alike; the second time the prompt comes from the cache."""
    told = stream(page, "Count to five.", maxTokens=12)
    whole = page.post("/api/chat", json=body("Count to five.", maxTokens=12, stream=False)).json()
    done = told[-1]
    assert text_of(told) == whole["content"] != ""
    assert done["tokenCount"] == whole["tokenCount"] == 12
    assert done["promptTokens"] == whole["promptTokens"]
    assert done["finishReason"] == whole["finishReason"] == "length"
    assert whole["kvReusedTokens"] == whole["promptTokens"] - 1 > 0
    assert 0 < whole["kvReusePercent"] < 100
    assert done["elapsed"] > 0
    assert done["ttft"] > 0
    fresh = stream(page, "Count to five.", maxTokens=12, newChat=True)
    assert fresh[-1]["kvReusedTokens"] == 0


def test_two_pages_stream_at_once_and_a_third_is_told_its_place(
    single: Server, page: httpx.Client
) -> None:
    """Tokens of both come between each other's; who waits for a slot learns of the queue."""
    order: list[int] = []
    are_begun = threading.Barrier(3)

    def read(number: int) -> None:
        asked = body(f"Write a story about {number} cats.", maxTokens=150)
        with (
            httpx.Client(base_url=single.url, timeout=60) as client,
            client.stream("POST", "/api/chat", json=asked) as response,
        ):
            for line in response.iter_lines():
                if line.startswith('data: {"token"'):
                    order.append(number)
                    if order.count(number) == 1:
                        are_begun.wait(30)

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read, number) for number in range(2)]
        are_begun.wait(30)
        status = page.get("/api/queue/status").json()
        third = stream(page, "Hi", maxTokens=2)
        for reader in readers:
            reader.result()
    changes = sum(one != other for one, other in itertools.pairwise(order))
    assert changes > 20
    assert (status["busy"], status["running_requests"], status["slots"]) == (True, 2, 2)
    assert third[1] == {"queue_position": 1, "queue_pending": 1}
    assert third[-1]["queued"] > 0
    assert page.get("/api/queue/status").json()["total_processed"] >= 3


def test_a_schema_holds_the_answer(page: httpx.Client) -> None:
    """What the page asks to be JSON of a form is that."""
    schema = {"type": "object", "properties": {"a": {"const": "<b>"}}, "required": ["a"]}
    told = stream(page, "Answer.", jsonSchema=schema, maxTokens=50)
    assert orjson.loads(text_of(told)) == {"a": "<b>"}


def test_request_ids_and_figures_are_in_the_log(single: Server, page: httpx.Client) -> None:
    """The client's id comes back, and its line has the counts but not the words."""
    headers = {"X-Request-Id": "page-1"}
    response = page.post("/api/chat", json=body("Sesame?", maxTokens=3), headers=headers)
    assert response.headers["X-Request-Id"] == "page-1"
    single.logged("request_id=page-1")
    line = next(line for _, line in single.lines if "request_id=page-1" in line)
    assert "route=/api/chat status=200" in line
    assert "completion_tokens=3" in line
    assert "Sesame" not in single.log


def test_a_text_is_cut_to_what_the_model_can_take(page: httpx.Client) -> None:
    """Half of the context, counted in the model's own tokens."""
    text = "The quick brown fox jumps over the lazy dog. " * 200 + "\N{SNOWMAN}" * 500
    told = page.post("/api/upload", files={"f": ("a.txt", text.encode())}).json()
    assert told["modelContextLimit"] == 1024
    assert told["truncateLimit"] == 512
    assert 500 < told["returnedTokenCount"] <= 512 < told["originalTokenCount"]
    assert told["truncated"] is True
    assert text.startswith(told["textContent"])
    counted = page.post("/tokenize", json={"content": told["textContent"], "parse_special": False})
    assert len(counted.json()["tokens"]) == told["returnedTokenCount"]


@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_file_above_the_limit_is_refused_as_it_comes(
    single: Server, page: httpx.Client, folder: Path, *, is_chunked: bool
) -> None:
    """501 MiB are a 413; they are never in memory, and nothing stays on the disk."""
    n_pieces = 501
    files = set(folder.rglob("upload_*"))
    before_bytes = rss_bytes(single)
    peak_bytes = before_bytes

    def content() -> Iterator[bytes]:
        nonlocal peak_bytes
        yield HEAD
        for number in range(n_pieces):
            yield PIECE
            if number % 50 == 0:
                peak_bytes = max(peak_bytes, rss_bytes(single))
        yield b"\r\n--B--\r\n"

    length = len(HEAD) + n_pieces * len(PIECE) + len(b"\r\n--B--\r\n")
    headers = {**FORM, **({} if is_chunked else {"Content-Length": str(length)})}
    response = page.post("/api/upload", content=content(), headers=headers)
    assert response.status_code == 413
    assert str(LIMIT) in response.json()["error"]
    peak_bytes = max(peak_bytes, rss_bytes(single))
    assert peak_bytes - before_bytes < MARGIN_BYTES
    assert set(folder.rglob("upload_*")) == files
    # On another connection: gunicorn closes one on which it left a body unread.
    assert httpx.get(f"{single.url}/health").status_code == 200


def test_a_large_file_is_taken_without_memory(single: Server, page: httpx.Client) -> None:
    """100 MiB of text go to the disk; of the text as much as fits comes back."""
    before_bytes = rss_bytes(single)
    content = iter([HEAD, *[PIECE] * 100, b"\r\n--B--\r\n"])
    told = page.post("/api/upload", content=content, headers=FORM).json()
    assert told["size"] == 100 * len(PIECE)
    assert told["originalTokenCount"] is None
    assert told["truncated"] is True
    assert rss_bytes(single) - before_bytes < MARGIN_BYTES


def test_the_model_is_loaded_anew_under_load(single: Server, page: httpx.Client) -> None:
    """A stream that runs ends whole, and the new model answers as the former did."""
    before = text_of(stream(page, "Count to five.", maxTokens=8))
    with ThreadPoolExecutor(1) as pool, httpx.Client(base_url=single.url, timeout=60) as other:
        running = pool.submit(stream, other, "Write a story.", maxTokens=100)
        deadline_s = time.monotonic() + 30
        while not page.get("/api/queue/status").json()["busy"] and time.monotonic() < deadline_s:
            time.sleep(0.01)
        models = page.get("/api/models").json()
        loaded = page.post("/api/models/load", json={"model": models["loaded"]})
    assert loaded.json()["ok"] is True
    assert running.result()[-1]["error"] is None
    assert running.result()[-1]["tokenCount"] == 100
    assert text_of(stream(page, "Count to five.", maxTokens=8)) == before
    assert page.post("/api/models/load", json={"model": "other"}).status_code == 404
