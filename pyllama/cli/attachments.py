"""Files that go into a question: text, pictures, sound and video."""

from __future__ import annotations

import base64
import mimetypes
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyllama.errors import ConfigError, Unsupported
from pyllama.media import FORMATS, MediaLimits, family_of, kind_of

if TYPE_CHECKING:
    from pyllama import Llama
    from pyllama.media import Family, FileKind

STDIN = "-"
# A token of text has hardly ever more bytes than this; what is past that is not even read.
_BYTES_PER_TOKEN = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file's text, for a question."""

    name: str
    text: str
    n_tokens: int
    is_cut: bool
    """Whether the file is longer."""

    @property
    def quoted(self) -> str:
        """The text with its name, as the model is shown it."""
        fence = "```"
        while fence in self.text:
            fence += "`"
        return f"{self.name}:\n{fence}\n{self.text}\n{fence}"

    @property
    def summary(self) -> str:
        """The name and the size, for people."""
        cut = ", cut to fit" if self.is_cut else ""
        return f"{self.name} ({self.n_tokens} tokens{cut})"


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """A picture, a sound or a video, for a question."""

    name: str
    family: Family
    n_bytes: int
    part: dict[str, Any]
    """The part of a message that holds it, in OpenAI's form: it can be saved as JSON."""

    @property
    def summary(self) -> str:
        """The name, the kind and the size, for people."""
        return f"{self.name} ({self.family}, {self.n_bytes / 1000:,.0f} kB)"


def attach(path: str, llm: Llama, *, max_tokens: int) -> Attachment | MediaFile:
    """Read a file; ``-`` is standard input. What it is, its content says.

    Args:
        path: the file.
        llm: the model, whose tokens are counted.
        max_tokens: tokens of a text at most, 1 or more; what is longer is cut.

    Raises:
        ConfigError: it cannot be read, holds nothing, or is too large.
        Unsupported: it is nothing that this model takes.
    """
    name = "standard input" if path == STDIN else Path(path).name
    max_bytes = max_tokens * _BYTES_PER_TOKEN
    data = _read(path, max_bytes)
    is_cut = len(data) > max_bytes
    text = _decode(data[:max_bytes], is_cut=is_cut)
    if text is None:
        return _media(path, name, data, llm)
    tokens = llm.tokenize(text)
    if len(tokens) > max_tokens:
        is_cut = True
        tokens = tokens[:max_tokens]
        text = llm.detokenize(tokens).rstrip("\ufffd")
    if not text.strip():
        raise ConfigError(f"{name} is empty")
    return Attachment(name=name, text=text, n_tokens=len(tokens), is_cut=is_cut)


def _read(path: str, max_bytes: int, begun: bytes = b"") -> bytes:
    """Return a file up to a byte past the limit.

    Args:
        path: the file.
        max_bytes: the limit.
        begun: what was read of it before; standard input cannot be read twice.
    """
    if path == STDIN:
        return begun + sys.stdin.buffer.read(max(max_bytes + 1 - len(begun), 0))
    try:
        with Path(path).expanduser().open("rb") as file:
            return file.read(max_bytes + 1)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error


def _decode(data: bytes, *, is_cut: bool) -> str | None:
    """Return a text in UTF-8, None of what is none."""
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if is_cut and error.start >= len(data) - 3:
            # The end of what was read lies within a character.
            return data[: error.start].decode("utf-8-sig")
        return None


def _media(path: str, name: str, begun: bytes, llm: Llama) -> MediaFile:
    kind = kind_of(begun)
    family = family_of(kind, name) if kind else None
    if kind is None or family is None:
        guess = kind.name if kind else mimetypes.guess_type(name)[0]
        what = f"is {guess}" if guess else "is of a kind that nobody here reads"
        raise Unsupported(
            f"{name} {what}; attach text in UTF-8, or {', '.join(FORMATS.values())}",
            param="attach",
        )
    info = llm.info
    if not (info.has_audio if family == "sound" else info.has_vision):
        takes = "takes" if info.has_vision or info.has_audio else "takes text only,"
        raise Unsupported(
            f"{name} is a {family}, and the model {takes} no {family}; start it with the --mmproj "
            "of a model that does",
            param="attach",
        )
    max_bytes = MediaLimits().max_bytes
    data = _read(path, max_bytes, begun)
    if len(data) > max_bytes:
        raise ConfigError(f"{name} has more than {max_bytes:,} bytes")
    return MediaFile(name=name, family=family, n_bytes=len(data), part=_part(family, kind, data))


def _part(family: Family, kind: FileKind, data: bytes) -> dict[str, Any]:
    text = base64.b64encode(data).decode("ascii")
    if family == "picture":
        url = f"data:image/{kind.name.lower()};base64,{text}"
        return {"type": "image_url", "image_url": {"url": url}}
    if family == "sound":
        form = {"mp4": "m4a", "matroska": "webm"}.get(kind.name, kind.name)
        return {"type": "input_audio", "input_audio": {"data": text, "format": form}}
    return {"type": "input_video", "input_video": {"data": text}}
