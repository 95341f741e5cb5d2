"""A real server is sent damaged pictures, sound and video: each is answered, and nothing ends."""

from __future__ import annotations

import base64
import random
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support import media_files, projectors
from tests.support.serving import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

N_FILES = 200


@pytest.fixture(scope="module", params=["mlp", "sound"])
def server(
    request: pytest.FixtureRequest, model_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server of the default model, which sees or hears, and may fetch."""
    mmproj = projectors.make(tmp_path_factory.mktemp("projectors"), request.param)
    environ = {
        "LLAMA_ARG_MODEL": str(model_path),
        "LLAMA_ARG_MMPROJ": str(mmproj),
        "LLAMA_ARG_CTX_SIZE": "2048",
        "LLAMA_ARG_N_PARALLEL": "2",
        "PYLLAMA_MEDIA_URLS": "on",
    }
    with Server("-c", "python:wsgi.gunicorn_conf", "wsgi:app", environ=environ) as server:
        yield server.ready()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client of that server."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def parts() -> list[tuple[str, bytes]]:
    """Return a file of each format, and the type of part that holds it."""
    kinds = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
    files = [("image_url", media_files.picture(kind=kind)) for kind in kinds]
    files += [("input_video", media_files.video(6, kind)) for kind in ("mp4", "matroska", "avi")]
    files.append(("input_audio", media_files.wav(n_samples=2000)))
    return files + [("input_audio", media_files.sound(kind, kind)) for kind in ("mp3", "flac")]


def ask(client: httpx.Client, kind: str, data: bytes) -> httpx.Response:
    encoded = base64.b64encode(data).decode()
    held: dict[str, Any] = {"data": encoded, "format": "wav"}
    if kind == "image_url":
        held = {"url": f"data:image/png;base64,{encoded}"}
    return send(client, {"type": kind, kind: held})


def send(client: httpx.Client, part: dict[str, Any]) -> httpx.Response:
    body = {"messages": media_files.shown("What?", part), "max_tokens": 1}
    return client.post("/v1/chat/completions", json=body)


def test_damaged_files_end_nothing(server: Server, client: httpx.Client) -> None:
    """200 or 400 for each of them, from the worker that was there at first."""
    chance = random.Random(6)  # noqa: S311
    files = parts()
    statuses = set()
    for number in range(N_FILES):
        kind, data = files[number % len(files)]
        answer = ask(client, kind, media_files.damaged(data, chance))
        statuses.add(answer.status_code)
        if answer.status_code == 400:
            assert answer.json()["error"]["param"].startswith("messages[0].content[0]")
    assert statuses == {200, 400}
    assert server.log.count("Booting worker") == 1


def test_addresses_of_this_machine_are_refused(server: Server, client: httpx.Client) -> None:
    """Also where fetching is allowed; the server's own port is not connected to."""
    for host in ("127.0.0.1", "localhost", "[::1]"):
        for kind in ("image_url", "input_audio"):
            url = f"http://{host}:{server.port}/health"
            answer = send(client, {"type": kind, kind: {"url": url}})
            assert answer.status_code == 400
            assert answer.json()["error"]["param"] == f"messages[0].content[0].{kind}.url"
