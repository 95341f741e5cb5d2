"""Texts that cannot fit are refused by their length, and no other ones are."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pyllama.errors import ContextOverflow
from pyllama.text.infill import infill_tokens
from pyllama.text.prompts import TextPrompts
from pyllama.text.text_limit import TextLimit

END = 256


class ByteVocab:
    """A token for each byte, less some; one of four letters, and a control token."""

    n_tokens = 258
    infill = (1, 2, 3)
    bos = None
    adds_bos = False

    def __init__(self, *, missing: bytes = b"", swallows: bool = False) -> None:
        self.n_tokenised = 0
        self._missing = missing
        self._swallows = swallows

    def pieces(self) -> list[bytes]:
        single = [bytes((byte,)) if byte not in self._missing else b"" for byte in range(256)]
        return [*single, b"", b"abcd"]

    def piece(self, _token: int, *, special: bool) -> bytes:
        assert special
        return b"<end>"

    def is_control(self, token: int) -> bool:
        return token == END

    def tokenize(self, text: str, **_: Any) -> list[int]:
        self.n_tokenised += 1
        if self._swallows:
            text = re.sub(r"\s*<end>\s*", "<end>", text)
        parts = re.findall(r"<end>|abcd|.", text, re.DOTALL)
        return [{"<end>": END, "abcd": 257}.get(part, ord(part[0]) % 256) for part in parts]


def limit_of(vocab: Any, n_ctx: int = 10) -> TextLimit:
    """Return the limit of a vocabulary that spells texts."""
    made = TextLimit.of(vocab, "gpt2", vocab.pieces(), n_ctx)
    assert made is not None
    return made


@pytest.mark.parametrize("letter", ["a", " ", "\n", "é", "🦙", "\ud800"])
def test_the_longest_token_says_what_can_fit(letter: str) -> None:
    """Ten tokens of five bytes hold fifty bytes; how many there are at least is told."""
    size = len(letter.encode("utf-8", "surrogatepass"))
    limit = limit_of(ByteVocab())
    limit.check(letter * (50 // size))
    with pytest.raises(ContextOverflow, match="at least 20 tokens, the context 10") as caught:
        limit.check(letter * (100 // size) + "a" * (100 % size))
    assert (caught.value.n_prompt_tokens, caught.value.n_ctx) == (20, 10)


def test_what_may_become_no_token_does_not_count() -> None:
    """Bytes that the vocabulary lacks, and blanks that its control tokens swallow."""
    limit_of(ByteVocab(missing=b"x")).check("x" * 1000 + "a" * 50)
    swallowing = limit_of(ByteVocab(swallows=True))
    swallowing.check(" \n\t" * 1000 + "a" * 50)
    for limit in (limit_of(ByteVocab(missing=b"x")), swallowing):
        with pytest.raises(ContextOverflow):
            limit.check("a" * 51)


@pytest.mark.parametrize("kind", ["bert", "t5", "rwkv", "plamo2", "no_vocab", ""])
def test_other_vocabularies_have_no_limit(kind: str) -> None:
    """Where a text is rewritten before it is cut into tokens its length says nothing."""
    vocab: Any = ByteVocab()
    assert TextLimit.of(vocab, kind, vocab.pieces(), 10) is None


def test_what_cannot_fit_is_not_tokenised() -> None:
    """Neither as a prompt nor as the surroundings of what is to be filled in."""
    vocab: Any = ByteVocab()
    limit = limit_of(vocab)
    vocab.n_tokenised = 0
    with pytest.raises(ContextOverflow):
        TextPrompts(vocab, limit).prompt("a" * 1000)
    with pytest.raises(ContextOverflow):
        infill_tokens(vocab, "a" * 30, "b" * 30, limit)
    assert vocab.n_tokenised == 0
    assert len(TextPrompts(vocab, limit).prompt("a" * 50).tokens) == 50
