"""Files that are no models, or not any more: an exception, and the process lives."""

from __future__ import annotations

import os
import random
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyllama import hub
from pyllama._ext.model import Model
from pyllama._ext.options import Options
from pyllama.errors import ModelLoadError, NativeError
from tests.ext.native import load, seeded

VOCABULARY = Path(__file__).parents[2] / "vendor/llama.cpp/models/ggml-vocab-llama-spm.gguf"
REFUSED = (NativeError, ModelLoadError)


@pytest.fixture(scope="module")
def copy(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the default model that a test may damage, and restores."""
    path = tmp_path_factory.mktemp("damage") / "model.gguf"
    shutil.copyfile(model_path, path)
    yield path
    path.unlink()


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF\x03\0\0\0", b"{}", b"\0" * 4096])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file too short or of another kind is a NativeError, without any check before."""
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(NativeError, match="refused the file"):
        load(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A path to nothing is a NativeError."""
    with pytest.raises(NativeError):
        load(tmp_path / "missing.gguf")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """A path to a folder is a NativeError."""
    with pytest.raises(NativeError):
        load(tmp_path)


def test_random_bytes_are_refused(tmp_path: Path) -> None:
    """Neither noise nor a right head followed by noise is a model."""
    noise = seeded(1).randbytes(200_000)
    for content in (noise, b"GGUF" + noise, struct.pack("<4sIQQ", b"GGUF", 3, 5, 5) + noise):
        path = tmp_path / "noise.gguf"
        path.write_bytes(content)
        with pytest.raises(NativeError):
            load(path)


def test_a_vocabulary_is_no_model() -> None:
    """A file without weights is a NativeError, not an empty model."""
    with pytest.raises(NativeError):
        load(VOCABULARY)


@pytest.mark.parametrize("fit", ["on", "off"])
def test_a_truncated_model_is_refused(
    copy: Path, model_path: Path, caplog: pytest.LogCaptureFixture, fit: str
) -> None:
    """However much is missing, a load fails with a reason in the log, and the next one works."""
    size = model_path.stat().st_size
    with model_path.open("rb") as whole:
        for part in (size - 1, size // 2, 2_000_000, 100_000, 1000, 24):
            os.truncate(copy, part)
            caplog.clear()
            with pytest.raises(NativeError):
                load(copy, ("--fit", fit))
            assert any("error loading model" in line for line in caplog.messages)
            with pytest.raises(ModelLoadError, match="truncated"):
                hub.check_gguf(copy)
        with copy.open("wb") as file:
            shutil.copyfileobj(whole, file)
    assert load(copy).n_params > 0


def damage(head: bytes, random_: random.Random) -> bytes:
    """Change some bytes, preferably to numbers that end a range."""
    damaged = bytearray(head)
    for _ in range(random_.choice((1, 1, 2, 4))):
        at = random_.randrange(4, random_.choice((64, len(head) - 8)))
        value = random_.choice((0, 1, 255, 2**31 - 1, 2**32 - 1, 2**63, 2**64 - 1))
        patch = random_.choice(
            (random_.randbytes(1), struct.pack("<I", value % 2**32), struct.pack("<Q", value))
        )
        damaged[at : at + len(patch)] = patch
    return bytes(damaged)


def test_a_damaged_head_does_no_harm(copy: Path) -> None:
    """Damage to counts, keys, types and values is refused, or harmless: then the model loads.

    Damage to the vocabulary's own texts is left out: one that makes two of them equal passes the
    check and ends the process in llama.cpp.
    """
    with copy.open("rb") as file:
        start = file.read(1 << 16)
    head = start[: start.index(b"tokenizer.ggml.tokens")]
    n_refused = 0
    for seed in range(60):
        with copy.open("r+b") as file:
            file.write(damage(head, seeded(seed)))
        try:
            hub.check_gguf(copy)
            load(copy)
        except REFUSED:
            n_refused += 1
    with copy.open("r+b") as file:
        file.write(head)
    assert n_refused > 30
    assert load(copy).n_params > 0


def test_a_damaged_vocabulary_file_does_no_harm(tmp_path: Path) -> None:
    """The same for another kind of vocabulary, which has no weights and never loads."""
    content = VOCABULARY.read_bytes()
    head = content[: content.index(b"tokenizer.ggml.tokens")]
    path = tmp_path / "vocabulary.gguf"
    for seed in range(40):
        path.write_bytes(damage(head, seeded(seed)) + content[len(head) :])
        with pytest.raises(REFUSED):
            Model(path, Options())
