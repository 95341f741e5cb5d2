"""Tokens to text, never half a character."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllama.text import Detokenizer
from tests.support import strategies

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.data(), ANY_TEXT)
def test_cuts_play_no_part(data: Any, text: str) -> None:
    """However the bytes are spread over tokens, the text is whole, and so is each part of it."""
    pieces = data.draw(strategies.cuts(text.encode()))
    detokenizer = Detokenizer(pieces)
    parts = [detokenizer.feed((token,)) for token in range(len(pieces))]
    assert "".join(parts) == text
    assert all(part == part.encode().decode() for part in parts)
    assert Detokenizer(pieces).feed(range(len(pieces))) == text


@pytest.mark.parametrize("n_bytes", [1, 2, 3])
def test_an_incomplete_tail_is_dropped(n_bytes: int) -> None:
    """An answer that ends inside a character ends before it."""
    assert Detokenizer([b"ok" + "🦙".encode()[:n_bytes]]).feed((0,)) == "ok"


@given(st.data(), st.binary(max_size=12))
def test_bytes_that_are_no_text_are_replaced(data: Any, raw: bytes) -> None:
    """Any bytes make text: what is no UTF-8 becomes U+FFFD, as where decoded at once."""
    pieces = [*data.draw(strategies.cuts(raw)), b"."]
    text = "".join([Detokenizer(pieces).feed(range(len(pieces)))])
    assert text == (raw + b".").decode("utf-8", "replace")


def test_tokens_may_stand_for_nothing() -> None:
    """Control tokens have no bytes and no text."""
    detokenizer = Detokenizer([b"", b"a"])
    assert detokenizer.feed((0,)) == ""
    assert detokenizer.feed(()) == ""
    assert detokenizer.feed((0, 1, 0)) == "a"
