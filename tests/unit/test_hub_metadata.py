"""The key-value pairs of a GGUF file, with their types."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from pyllama.errors import ModelLoadError, ModelNotFound
from pyllama.hub import read_metadata

NUMBERS: list[tuple[int, str, Any]] = [
    (0, "B", 200),
    (1, "b", -100),
    (2, "H", 60_000),
    (3, "h", -30_000),
    (4, "I", 4 * 10**9),
    (5, "i", -(2 * 10**9)),
    (6, "f", 0.5),
    (7, "?", True),
    (10, "Q", 10**19),
    (11, "q", -(10**18)),
    (12, "d", 1e-300),
]


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def file(path: Path, pairs: dict[str, bytes]) -> Path:
    """Write a GGUF file that has pairs and no tensors."""
    body = b"".join(text(name) + value for name, value in pairs.items())
    path.write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, 0, len(pairs)) + body)
    return path


def one(kind: int, layout: str, value: Any) -> bytes:
    return struct.pack(f"<I{layout}", kind, value)


def many(kind: int, items: list[bytes]) -> bytes:
    return struct.pack("<IIQ", 9, kind, len(items)) + b"".join(items)


def test_values_have_their_types(tmp_path: Path) -> None:
    """Numbers of every width, booleans and text come back as what they are."""
    pairs = {layout: one(kind, layout, value) for kind, layout, value in NUMBERS}
    pairs["text"] = struct.pack("<I", 8) + text("é\n")
    found = read_metadata(file(tmp_path / "x.gguf", pairs))
    assert found == {**{layout: value for _, layout, value in NUMBERS}, "text": "é\n"}
    assert found["?"] is True


def test_arrays_are_read_when_asked_for(tmp_path: Path) -> None:
    """Without it they are None, and what follows them is found all the same."""
    pairs = {
        "words": many(8, [text("a"), text(""), text("bc")]),
        "scores": many(6, [struct.pack("<f", value) for value in (0.5, -2.0)]),
        "none": many(8, []),
        "last": one(4, "I", 7),
    }
    path = file(tmp_path / "x.gguf", pairs)
    assert read_metadata(path) == {"words": None, "scores": None, "none": None, "last": 7}
    assert read_metadata(path, arrays=True) == {
        "words": ["a", "", "bc"],
        "scores": [0.5, -2.0],
        "none": [],
        "last": 7,
    }


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    """They become replacement characters."""
    data = struct.pack("<IQ", 8, 1) + b"\xff"
    assert read_metadata(file(tmp_path / "x.gguf", {"x": data})) == {"x": "\ufffd"}


def test_damaged_file_is_refused(tmp_path: Path) -> None:
    """A file that ends too early is no file to read from, nor is one that is not there."""
    path = file(tmp_path / "x.gguf", {"x": struct.pack("<I", 8) + text("abc")})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelLoadError, match="truncated"):
        read_metadata(path)
    with pytest.raises(ModelNotFound):
        read_metadata(tmp_path / "none.gguf")
