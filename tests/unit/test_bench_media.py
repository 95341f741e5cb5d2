"""What the benchmark shows to both servers, and the encoder that it writes for it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bench import media, media_equal, media_mixed, media_models, pictures
from bench.answers import Answer, Token
from bench.client import Messages, Streamed
from bench.compare import flags
from bench.processes import ProcessTree
from bench.server import PYLLAMA, Running, Side
from pyllama.hub.metadata import read_metadata

FILES = media_models.MediaModel(Path("m.gguf"), Path("mmproj.gguf"))


class FakeServer:
    """Answers at once; notes every chat, and how many run at the same time."""

    def __init__(self) -> None:
        self.chats: list[Any] = []
        self.n_running = 0
        self.most_running = 0

    async def send(
        self,
        prompt: str | Messages,
        n_tokens: int,
        *,
        on_chunk: Callable[[int], None] | None = None,
    ) -> Streamed:
        self.chats.append(prompt)
        self.n_running += 1
        self.most_running = max(self.most_running, self.n_running)
        await asyncio.sleep(0)
        self.n_running -= 1
        return Streamed(0.0, (1.0,), json.dumps(prompt), n_tokens, 1, 0)


def has_picture(chat: Any) -> bool:
    return any(part["type"] == "image_url" for part in chat[0]["content"])


def test_a_picture_depends_on_its_seed_and_size_alone() -> None:
    """The same seed draws the same file, another one another; the size is the one asked for."""
    assert pictures.draw(1, 97, 61) == pictures.draw(1, 97, 61) != pictures.draw(2, 97, 61)
    assert Image.open(io.BytesIO(pictures.draw(3, 97, 61))).size == (97, 61)


def test_no_two_chats_are_about_the_same_picture() -> None:
    """Every fourth shows two pictures with words between them."""
    chats = pictures.chats(20)
    kinds = [[part["type"] for part in chat[0]["content"]] for chat in chats]
    one, two = ["image_url", "text"], ["image_url", "text"] * 2
    assert kinds == [one, one, one, two] * 5
    shown = [
        part["image_url"]["url"]
        for chat in chats
        for part in chat[0]["content"]
        if part["type"] == "image_url"
    ]
    assert len(set(shown)) == len(shown) == 25


def test_eight_of_each_kind_run_at_once() -> None:
    """After one of each alone; each group holds its kind, and no picture comes twice."""
    load = media_mixed.mixed(FILES, 4)
    server = FakeServer()
    alone, together = load.phases
    found = asyncio.run(_drive(alone, server))
    assert (server.most_running, sorted(found)) == (1, ["picture", "text"])
    found = asyncio.run(_drive(together, server))
    assert (server.most_running, load.n_slots) == (16, 16)
    for name, streams in found.items():
        assert len(streams) == 8
        assert {has_picture(json.loads(stream.text)) for stream in streams} == {name == "pictures"}
    assert len({json.dumps(chat) for chat in server.chats}) == 18


async def _drive(phase: Any, server: FakeServer) -> dict[str, list[Streamed]]:
    return dict(await phase.drive(server.send))


def test_both_servers_load_the_same_encoder() -> None:
    """The flags of both are the same words."""
    parser = argparse.ArgumentParser()
    media.add_arguments(parser)
    args = parser.parse_args([])
    load = media_mixed.mixed(FILES, args.tokens)
    ours, theirs = (flags(side, load, args) for side in (PYLLAMA, Side("llama-server", ())))
    assert ours == theirs
    assert ours[-3:] == ["--mmproj", "mmproj.gguf", "--metrics"]


def test_the_time_of_an_encode_is_read_from_the_metrics() -> None:
    """The mean over all pieces that were encoded."""
    lines = ["# TYPE x counter", "pyllama:media_encoded_total 4.0", "pyllama:media_seconds_total 2"]
    assert media_mixed.mean_encode_s("\n".join(lines)) == 0.5


def test_an_encoder_fits_the_model_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its width is the text model's; the same seed writes the same file."""
    pytest.importorskip("gguf", reason="the bench extra is not installed")
    model, _ = _tiny(tmp_path)
    monkeypatch.setattr("bench.models.hub.resolve", lambda _: model)
    files = media_models.prepare("any", "small", tmp_path)
    first = files.projector.read_bytes()
    assert read_metadata(files.projector)["clip.vision.projection_dim"] == 64
    assert media_models.prepare("any", "small", tmp_path).projector.read_bytes() == first


def _tiny(folder: Path) -> tuple[Path, Path]:
    files = media_models.prepare(media_models.TINY_QWEN, "small", folder)
    return files.model, files.projector


def test_a_model_with_positions_in_two_dimensions_is_written(tmp_path: Path) -> None:
    """It is a Qwen2-VL, and its encoder is one of that kind."""
    pytest.importorskip("gguf", reason="the bench extra is not installed")
    model, projector = _tiny(tmp_path)
    assert read_metadata(model)["general.architecture"] == "qwen2vl"
    assert read_metadata(projector)["clip.projector_type"] == "qwen2vl_merger"
    with pytest.raises(SystemExit, match="tiny-qwen is small"):
        media_models.prepare(media_models.TINY_QWEN, "large", tmp_path)


def test_the_record_is_told_part_by_part() -> None:
    """A part that did not run is not in the text; the times of encoding stand below their table."""
    shown = streams_record({"rows": {}, "encode_s": [0.25, 0.5]})
    text = media.table(shown)
    assert text.startswith("m.gguf, commit abc")
    assert "a tile in 250.0, 500.0 ms" in text
    assert "chats with pictures" not in text


def streams_record(mixed: dict[str, Any]) -> dict[str, Any]:
    return {
        "model": "m.gguf",
        "commit": "abc",
        "is_modified": False,
        "load_average": 0.5,
        "machine": {"cpu": "CPU", "n_cpus": 2},
        "settings": {"rounds": 2, "projector": "large"},
        "mixed": mixed,
    }


def test_each_server_is_asked_with_two_sizes_of_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six fresh servers get the same chats; only their programs, kernels and `-ub` differ."""
    started: list[tuple[str, list[str]]] = []
    asked: list[Any] = []

    @contextlib.contextmanager
    def serve(side: Side, model: Path, own: list[str], *, is_tuned: bool) -> Iterator[Running]:
        assert not is_tuned
        started.append((side.name, own))
        yield Running(0, ProcessTree(0))

    def ask(port: int, chat: Any, n_tokens: int) -> Answer:
        asked.append(chat)
        return Answer(7, tuple(Token(i, {i: 0.0}) for i in range(n_tokens)))

    monkeypatch.setattr(media_equal, "serve", serve)
    monkeypatch.setattr(media_equal, "ask", ask)
    monkeypatch.setattr(media_equal, "llama_server", lambda: Side("llama-server", ()))
    parser = argparse.ArgumentParser()
    media.add_arguments(parser)
    found = media_equal.measure(FILES, parser.parse_args(["--prompts", "3", "--tokens", "2"]))
    names = [name for name, _ in started]
    plain, theirs, kernels = ([own for _, own in started][i : i + 2] for i in (0, 2, 4))
    assert names == ["pyllama"] * 2 + ["llama-server"] * 2 + ["pyllama"] * 2
    assert theirs == kernels
    assert [own[-1] for own in plain] == ["--no-kernels", "16"]
    assert theirs[1] == [*theirs[0], "-ub", "16"]
    assert plain == [[*theirs[0], "--no-kernels", *own[len(theirs[0]) :]] for own in theirs]
    assert asked == pictures.chats(3) * 6
    assert found["servers"]["sides"] == ["pyllama --no-kernels", "llama-server"]
    assert (found["n_prompt"], found["n_different"]) == ([7, 7, 7], 1)
