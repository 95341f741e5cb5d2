"""The text of a file, cut to the half of a context, so that there is room for a conversation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .file_kinds import encoding_of

if TYPE_CHECKING:
    from pathlib import Path

    from pyllama import Llama

# Text of which the tokens are counted; of a longer one, only as much is read. llama.cpp's tokeniser
# takes some 60 bytes a character for a text without a space.
_MAX_CHARS = 200_000
_CHARS_PER_TOKEN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TextCut:
    """The beginning of a text, or all of it."""

    text: str
    n_tokens: int
    is_cut: bool
    n_max_tokens: int
    """Most tokens that it could have."""
    n_original_tokens: int | None
    """Tokens of the whole text; None of one that is too long to count."""


def cut_text(file: Path, llm: Llama) -> TextCut:
    """Return as much of a file's text as half of the context can take, in whole tokens.

    Args:
        file: a text in UTF-8, or in UTF-16 with a mark.
        llm: counts the tokens.
    """
    n_max_tokens = max(llm.n_ctx // 2, 1)
    with file.open("rb") as source:
        encoding = encoding_of(source.read(2))
    with file.open(encoding=encoding, newline="") as source:
        text = source.read(max(_MAX_CHARS, _CHARS_PER_TOKEN * n_max_tokens))
        is_cut = bool(source.read(1))
    tokens = llm.tokenize(text, parse_special=False)
    n_original = None if is_cut else len(tokens)
    while len(tokens) > n_max_tokens:
        is_cut = True
        kept = tokens[:n_max_tokens]
        # A token may end inside of a character, and a vocabulary may write a space of its own.
        length = len(llm.detokenize(kept).rstrip("\ufffd"))
        text = text[: min(length, len(text) - 1)]
        tokens = llm.tokenize(text, parse_special=False)
    return TextCut(
        text=text,
        n_tokens=len(tokens),
        is_cut=is_cut,
        n_max_tokens=n_max_tokens,
        n_original_tokens=n_original,
    )
