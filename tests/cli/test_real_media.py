"""The terminal's commands with the real model and eyes of random weights, as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import media_files, projectors

pytestmark = [pytest.mark.model, pytest.mark.e2e]

ENVIRON = {**os.environ, "PYLLAMA_TUNED": "0"}
LONG_S = 120.0


@pytest.fixture(scope="module")
def flags(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The flags that load the model with a projector."""
    mmproj = projectors.make(tmp_path_factory.mktemp("projectors"), "mlp")
    return ["-m", str(model_path), "--mmproj", str(mmproj), "-c", "2048", "--max-tokens", "8"]


def pyllama(*arguments: object, text: str = "") -> str:
    command = [sys.executable, "-m", "pyllama.cli", *map(str, arguments)]
    ended = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=LONG_S, env=ENVIRON, check=True
    )
    return ended.stdout


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Two pictures, and the first once more."""
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for path, seed in zip(paths, (1, 2, 1), strict=True):
        path.write_bytes(media_files.picture(seed))
    return paths


def test_an_attached_picture_is_seen(flags: list[str], pictures: list[Path]) -> None:
    """Two pictures, two answers; the same one the same."""
    one, other, same = (
        pyllama("run", *flags, "--temp", "0", "-p", "What is it?", "--attach", path)
        for path in pictures
    )
    assert one == same != other


def test_a_batch_takes_pictures(flags: list[str], pictures: list[Path], tmp_path: Path) -> None:
    """As data in OpenAI's form, or by their path; a broken one is an error of its own line."""

    def line(part: dict[str, Any]) -> str:
        messages = media_files.shown("What is it?", part)
        return json.dumps({"messages": messages, "temperature": 0}) + "\n"

    parts = [media_files.image_part(path.read_bytes()) for path in pictures]
    parts += [{"type": "image", "image": str(pictures[0])}, media_files.image_part(b"broken")]
    asked, told = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    asked.write_text("".join(map(line, parts)), "utf-8")
    command = [
        sys.executable,
        "-m",
        "pyllama.cli",
        "batch",
        str(asked),
        str(told),
        *flags,
        "-np",
        "1",
    ]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=LONG_S, env=ENVIRON, check=False
    )
    results = [json.loads(item) for item in told.read_text("utf-8").splitlines()]
    assert len(results) == len(parts), ended.stderr
    one, other, same, by_path, broken = sorted(results, key=lambda item: item["index"])
    assert one["text"] == same["text"] == by_path["text"] != other["text"]
    assert "messages[0].content[0]" in json.dumps(broken["error"])
