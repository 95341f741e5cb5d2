"""Text files that go into a question."""

from __future__ import annotations

import mimetypes
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyllama.errors import ConfigError, Unsupported

if TYPE_CHECKING:
    from pyllama import Llama

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


def attach(path: str, llm: Llama, *, max_tokens: int) -> Attachment:
    """Read a text file; ``-`` is standard input.

    Args:
        path: the file.
        llm: the model, whose tokens are counted.
        max_tokens: tokens of its text at most, 1 or more; what is longer is cut.

    Raises:
        ConfigError: it cannot be read, or holds nothing.
        Unsupported: it is no text.
    """
    name = "standard input" if path == STDIN else Path(path).name
    max_bytes = max_tokens * _BYTES_PER_TOKEN
    data = _read(path, max_bytes)
    is_cut = len(data) > max_bytes
    text = _decode(data[:max_bytes], name, is_cut=is_cut)
    tokens = llm.tokenize(text)
    if len(tokens) > max_tokens:
        is_cut = True
        tokens = tokens[:max_tokens]
        text = llm.detokenize(tokens).rstrip("\ufffd")
    if not text.strip():
        raise ConfigError(f"{name} is empty")
    return Attachment(name=name, text=text, n_tokens=len(tokens), is_cut=is_cut)


def _read(path: str, max_bytes: int) -> bytes:
    if path == STDIN:
        return sys.stdin.buffer.read(max_bytes + 1)
    try:
        with Path(path).expanduser().open("rb") as file:
            return file.read(max_bytes + 1)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"cannot read {path}: {error}") from error


def _decode(data: bytes, name: str, *, is_cut: bool) -> str:
    at = data.find(b"\0")
    if at < 0:
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            at = error.start
            if is_cut and at >= len(data) - 3:
                # The end of what was read lies within a character.
                return data[:at].decode("utf-8-sig")
    kind = mimetypes.guess_type(name)[0]
    what = f"is {kind}" if kind else f"is no text in UTF-8 (byte {at})"
    raise Unsupported(f"{name} {what}; the model reads text only", param="attach")
