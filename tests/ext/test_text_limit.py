"""The limit of texts holds for a real vocabulary: what may fit is never refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyllama._ext.vocab import Vocab
from pyllama.errors import ContextOverflow
from pyllama.text.text_limit import TextLimit


def limit_of(vocab: Vocab, n_ctx: int) -> TextLimit:
    """Return the limit for so many tokens."""
    made = TextLimit.of(vocab, "gpt2", vocab.pieces(), n_ctx)
    assert made is not None
    return made


def test_no_text_has_fewer_tokens_than_are_told(vocab: Vocab) -> None:
    """Each text fits the context that its tokens fill: repeated tokens, blanks, control tokens."""
    pieces = vocab.pieces(special=True)
    longest = sorted(range(len(pieces)), key=lambda token: len(pieces[token]))[-60:]
    picked = range(0, len(pieces), len(pieces) // 200)
    controls = [token for token in range(len(pieces)) if vocab.is_control(token)]
    limit = limit_of(vocab, 1)
    for token in (*longest, *picked, *controls):
        name = pieces[token].decode("utf-8", "replace")
        for text in (name * 40, f"{name}   \n" * 40, f"\x05{name}\U0001fffe" * 40):
            tokens = vocab.tokenize(text, parse_special=True)
            replace(limit, n_ctx=len(tokens)).check(text)


def test_a_text_far_too_long_is_refused(vocab: Vocab) -> None:
    """Of the letters that cannot fit, one more is too many."""
    limit = limit_of(vocab, 100)
    limit.check("a" * 100 * limit.token_bytes)
    with pytest.raises(ContextOverflow, match="at least 101 tokens"):
        limit.check("a" * (100 * limit.token_bytes + 1))
