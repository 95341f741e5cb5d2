"""Files that go into a question: text, no more of it than fits; pictures, sound and video."""

from __future__ import annotations

import base64
import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pyllama.cli import attachments
from pyllama.cli.attachments import Attachment, MediaFile, attach
from pyllama.errors import ConfigError, Unsupported
from pyllama.media import MediaLimits
from tests.support import media_files
from tests.support.fake_llama import FakeLlama

LLM: Any = FakeLlama()


def write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def read(path: str, max_tokens: int) -> Attachment:
    found = attach(path, LLM, max_tokens=max_tokens)
    assert isinstance(found, Attachment)
    return found


@pytest.fixture
def seeing() -> Any:
    """A model that takes everything."""
    llm = FakeLlama()
    llm.info = replace(llm.info, has_vision=True, has_audio=True)
    return llm


def test_a_text_is_shown_with_its_name(tmp_path: Path) -> None:
    """The model sees which file it is, where it begins and ends, and no byte order mark."""
    found = read(write(tmp_path / "a.ts", "\ufeffnär\n".encode()), max_tokens=100)
    assert (found.text, found.n_tokens, found.is_cut) == ("när\n", 4, False)
    assert found.quoted == "a.ts:\n```\nnär\n\n```"
    assert found.summary == "a.ts (4 tokens)"


def test_a_text_with_fences_stays_one_text(tmp_path: Path) -> None:
    """The fence around a text is longer than those within."""
    found = read(write(tmp_path / "a.md", b"```\nx\n```"), max_tokens=100)
    assert found.quoted.endswith("\n````")


@pytest.mark.parametrize("size", [11, 5_000, 1_000_000])
def test_a_long_text_is_cut_at_its_tokens(size: int, tmp_path: Path) -> None:
    """However long the file is, the question has the tokens that it may have."""
    found = read(write(tmp_path / "a.txt", b"x" * size), max_tokens=10)
    assert (found.text, found.n_tokens, found.is_cut) == ("x" * 10, 10, True)
    assert "cut" in found.summary


@pytest.mark.parametrize("n_before", range(4))
def test_a_cut_within_a_character_is_none_of_it(n_before: int, tmp_path: Path) -> None:
    """Where reading ends within a character, the text ends before it."""
    text = "x" * n_before + "🙂" * 100
    found = read(write(tmp_path / "a.txt", text.encode()), max_tokens=10)
    assert text.startswith(found.text)
    assert found.n_tokens > 5


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.txt", b"\x89PNG\r\n\x1a\n\0\0", "a.txt is a picture, and the model takes text only"),
        ("a.wav", media_files.wav(), "a.wav is a sound, and the model takes text only"),
        ("a.wav", b"RIFF\0\0", "a.wav is audio/"),
        ("a.pdf", b"%PDF-1.7\n\xff\xfe", "a.pdf is application/pdf"),
        ("a", b"ab\0", "a is of a kind that nobody here reads"),
        ("b", b"\xfc", "attach text in UTF-8, or PNG"),
    ],
)
def test_what_the_model_cannot_take_is_refused_by_its_kind(
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


@pytest.mark.parametrize(
    ("family", "data"),
    [
        ("picture", media_files.picture()),
        ("picture", media_files.picture(kind="JPEG")),
        ("sound", media_files.wav()),
        ("video", media_files.video(4)),
    ],
)
def test_media_are_known_by_their_content(
    family: str, data: bytes, seeing: Any, tmp_path: Path
) -> None:
    """Whatever the file is called; all of it is there, in OpenAI's form."""
    found = attach(write(tmp_path / "a.txt", data), seeing, max_tokens=1)
    assert isinstance(found, MediaFile)
    assert (found.family, found.n_bytes) == (family, len(data))
    assert found.summary.startswith(f"a.txt ({family}, ")
    assert base64.b64encode(data).decode() in str(found.part)


@pytest.mark.parametrize(
    ("name", "kind", "codec", "form"),
    [
        ("voice.M4A", "mp4", "aac", "m4a"),
        ("a", "ipod", "aac", "m4a"),
        ("a.weba", "webm", "libopus", "webm"),
        ("a.ogg", "ogg", "libopus", "ogg"),
    ],
)
def test_a_recording_is_no_film(
    name: str, kind: str, codec: str, form: str, seeing: Any, tmp_path: Path
) -> None:
    """Where its content leaves open what it is, its name tells; the part says what it holds."""
    data = media_files.sound(kind, codec)
    found = attach(write(tmp_path / name, data), seeing, max_tokens=1)
    assert isinstance(found, MediaFile)
    assert found.family == "sound"
    assert found.part["input_audio"]["format"] == form


def test_a_picture_of_a_phone_is_refused_by_its_name(seeing: Any, tmp_path: Path) -> None:
    """The message says what can be attached."""
    path = write(tmp_path / "a", b"\0\0\0\x18ftypheic" + bytes(60))
    with pytest.raises(Unsupported, match="a is HEIC or AVIF; attach text in UTF-8, or PNG, JPEG"):
        attach(path, seeing, max_tokens=1)


def test_a_picture_may_come_through_a_pipe(seeing: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read to see that it is no text is not lost."""
    data = media_files.picture(width=300, height=300)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    found = attach("-", seeing, max_tokens=1)
    assert isinstance(found, MediaFile)
    assert found.n_bytes == len(data)


def test_a_file_that_is_too_large_is_not_read_whole(
    seeing: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is that of the library."""
    monkeypatch.setattr(attachments, "MediaLimits", lambda: MediaLimits(max_bytes=100))
    with pytest.raises(ConfigError, match=r"a has more than 100 bytes"):
        attach(write(tmp_path / "a", media_files.wav()), seeing, max_tokens=1)


def test_a_model_that_sees_need_not_hear(seeing: Any, tmp_path: Path) -> None:
    """The refusal says what it does not take."""
    seeing.info = replace(seeing.info, has_audio=False)
    with pytest.raises(Unsupported, match="the model takes no sound"):
        attach(write(tmp_path / "a", media_files.wav()), seeing, max_tokens=1)
