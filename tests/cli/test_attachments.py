"""Files that go into a question: text, and no more of it than fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyllama.cli.attachments import attach
from pyllama.errors import ConfigError, Unsupported
from tests.support.fake_llama import FakeLlama

LLM: Any = FakeLlama()


def write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def test_a_text_is_shown_with_its_name(tmp_path: Path) -> None:
    """The model sees which file it is, where it begins and ends, and no byte order mark."""
    found = attach(write(tmp_path / "a.ts", "\ufeffnär\n".encode()), LLM, max_tokens=100)
    assert (found.text, found.n_tokens, found.is_cut) == ("när\n", 4, False)
    assert found.quoted == "a.ts:\n```\nnär\n\n```"
    assert found.summary == "a.ts (4 tokens)"


def test_a_text_with_fences_stays_one_text(tmp_path: Path) -> None:
    """The fence around a text is longer than those within."""
    found = attach(write(tmp_path / "a.md", b"```\nx\n```"), LLM, max_tokens=100)
    assert found.quoted.endswith("\n````")


@pytest.mark.parametrize("size", [11, 5_000, 1_000_000])
def test_a_long_text_is_cut_at_its_tokens(size: int, tmp_path: Path) -> None:
    """However long the file is, the question has the tokens that it may have."""
    found = attach(write(tmp_path / "a.txt", b"x" * size), LLM, max_tokens=10)
    assert (found.text, found.n_tokens, found.is_cut) == ("x" * 10, 10, True)
    assert "cut" in found.summary


@pytest.mark.parametrize("n_before", range(4))
def test_a_cut_within_a_character_is_none_of_it(n_before: int, tmp_path: Path) -> None:
    """Where reading ends within a character, the text ends before it."""
    text = "x" * n_before + "🙂" * 100
    found = attach(write(tmp_path / "a.txt", text.encode()), LLM, max_tokens=10)
    assert text.startswith(found.text)
    assert found.n_tokens > 5


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.png", b"\x89PNG\r\n\x1a\n\0\0", "a.png is image/png"),
        ("a.wav", b"RIFF\0\0", "a.wav is audio/"),
        ("a.pdf", b"%PDF-1.7\n\xff\xfe", "a.pdf is application/pdf"),
        ("a", b"ab\0", "byte 2"),
        ("b", b"\xfc", "byte 0"),
    ],
)
def test_what_is_no_text_is_refused_by_its_kind(
    name: str, data: bytes, said: str, tmp_path: Path
) -> None:
    """A model that reads text is given no image, sound or binary file."""
    with pytest.raises(Unsupported, match=said):
        attach(write(tmp_path / name, data), LLM, max_tokens=100)


def test_a_file_without_text_is_refused(tmp_path: Path) -> None:
    """An empty file, a missing one and a folder are named."""
    for path in (write(tmp_path / "empty", b" \n"), str(tmp_path / "none"), str(tmp_path)):
        with pytest.raises(ConfigError, match=Path(path).name):
            attach(path, LLM, max_tokens=100)
