"""A real server is sent damaged pictures, sound and video: each is answered, and nothing ends."""

from __future__ import annotations

import base64
import random
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support import media_files
from tests.support.media_server import media_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.serving import Server

N_FILES = 100


@pytest.fixture(scope="module", params=["mlp", "sound"])
def projector(request: pytest.FixtureRequest) -> str:
    """A kind of projector: one that sees, one that hears."""
    kind: str = request.param
    return kind


@pytest.fixture(scope="module")
def server(
    projector: str, short_model_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server of the default model, which sees or hears, and may fetch."""
    folder = tmp_path_factory.mktemp("projectors")
    with media_server(
        short_model_path,
        folder,
        projector,
        LLAMA_ARG_CTX_SIZE="2048",
        LLAMA_ARG_N_PARALLEL="2",
        PYLLAMA_MEDIA_URLS="on",
    ) as server:
        yield server.ready()


def parts(projector: str) -> list[tuple[str, bytes]]:
    """Return a file of each format that a projector takes, and the type of part that holds it."""
    if projector == "sound":
        return [("input_audio", data) for data in media_files.sounds().values()]
    files = [("image_url", data) for data in media_files.pictures().values()]
    return files + [("input_video", data) for data in media_files.videos(6).values()]


def ask(client: httpx.Client, kind: str, data: bytes) -> httpx.Response:
    encoded = base64.b64encode(data).decode()
    held: dict[str, Any] = {"data": encoded, "format": "wav"}
    if kind == "image_url":
        held = {"url": f"data:image/png;base64,{encoded}"}
    return send(client, {"type": kind, kind: held})


def send(client: httpx.Client, part: dict[str, Any]) -> httpx.Response:
    body = {"messages": media_files.shown("What?", part), "max_tokens": 1}
    return client.post("/v1/chat/completions", json=body)


def test_damaged_files_end_nothing(
    request: pytest.FixtureRequest, projector: str, server: Server, client: httpx.Client
) -> None:
    """200 or 400 for each of them, from the worker that was there at first."""
    n_files = request.config.getoption("--media-files")
    chance = random.Random(6 if n_files is None else None)  # noqa: S311
    files = parts(projector)
    statuses = set()
    for number in range(n_files or N_FILES):
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
