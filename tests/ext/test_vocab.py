"""Text to tokens and back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyllama._ext.vocab import Vocab

any_text = st.text(st.characters(exclude_categories=()), max_size=60)


@pytest.fixture(scope="session")
def missing(vocab: Vocab) -> bytes:
    """Bytes for which this model has no token: a few control characters and unused planes."""
    known = set(vocab.pieces())
    return bytes(byte for byte in range(256) if bytes([byte]) not in known)


@settings(max_examples=400, deadline=None)
@given(text=any_text)
def test_a_text_survives_its_tokens(vocab: Vocab, missing: bytes, text: str) -> None:
    """A text comes back as it went in, NUL and lone surrogates included, less unknown bytes."""
    data = text.encode("utf-8", "surrogatepass")
    assert vocab.detokenize(vocab.tokenize(text)) == data.translate(None, missing)


def test_few_bytes_are_unknown(missing: bytes) -> None:
    """The model knows NUL, all of printable ASCII and every byte of the basic plane's scripts."""
    assert len(missing) < 25
    assert not set(missing) & {0, *range(32, 127), *range(0xC2, 0xF1)}


@settings(max_examples=100, deadline=None)
@given(text=any_text)
def test_joined_pieces_are_the_text(vocab: Vocab, text: str) -> None:
    """The pieces of a text's tokens, joined, are what detokenize() returns."""
    tokens = vocab.tokenize(text)
    assert b"".join(vocab.piece(token) for token in tokens) == vocab.detokenize(tokens)


@settings(max_examples=100, deadline=None)
@given(text=any_text)
def test_control_tokens_in_plain_text_are_text(vocab: Vocab, text: str) -> None:
    """Without parse_special the text of a control token never becomes that token."""
    tokens = vocab.tokenize(f"{text}<|im_end|>{text}")
    assert not any(vocab.is_control(token) for token in tokens)


def test_control_tokens_are_parsed_on_demand(vocab: Vocab) -> None:
    """With parse_special the same text is one token, whose own text is shown on demand."""
    (token,) = vocab.tokenize("<|im_end|>", parse_special=True)
    assert vocab.is_control(token)
    assert token in vocab.eog_tokens()
    assert vocab.piece(token) == b""
    assert vocab.piece(token, special=True) == b"<|im_end|>"
    assert vocab.detokenize([token]) == b""
    assert vocab.detokenize([token], special=True) == b"<|im_end|>"


def test_pieces_are_all_pieces(vocab: Vocab) -> None:
    """pieces() holds the piece of each token id, shown as asked for."""
    for special in (False, True):
        pieces = vocab.pieces(special=special)
        assert len(pieces) == vocab.n_tokens
        assert all(pieces[id_] == vocab.piece(id_, special=special) for id_ in range(0, 2000, 7))


def test_a_long_text_is_tokenised_whole(vocab: Vocab) -> None:
    """The room for tokens grows with the text."""
    text = "word and " * 20_000
    assert vocab.detokenize(vocab.tokenize(text)).decode() == text


def test_the_empty_text_has_no_tokens(vocab: Vocab) -> None:
    """Nothing in, nothing out, in both directions."""
    assert vocab.tokenize("") == []
    assert vocab.detokenize([]) == b""


def test_special_tokens(vocab: Vocab) -> None:
    """The special ids are those of the model's header, and all that end a text are EOG."""
    assert vocab.bos == 1
    assert vocab.eos == 2
    assert vocab.eos in vocab.eog_tokens()
    assert vocab.tokenize("a", add_special=True) == vocab.tokenize("a")
    assert not vocab.adds_bos
    assert not vocab.adds_eos


@pytest.mark.parametrize("token", [-1, -(2**31), 2**31 - 1])
def test_a_token_outside_of_the_vocabulary_is_refused(vocab: Vocab, token: int) -> None:
    """llama.cpp would end the process; here it is a ValueError that names the range."""
    for function in (vocab.piece, vocab.is_control, lambda id_: vocab.detokenize([id_])):
        with pytest.raises(ValueError, match=f"{token} is outside of the vocabulary of 49152"):
            function(token)


def test_the_last_token_is_inside_and_the_next_outside(vocab: Vocab) -> None:
    """The range ends where the vocabulary does."""
    assert isinstance(vocab.piece(vocab.n_tokens - 1), bytes)
    with pytest.raises(ValueError, match="outside"):
        vocab.piece(vocab.n_tokens)


def test_what_is_no_token_or_text_is_refused(vocab: Vocab) -> None:
    """Wrong types and numbers beyond 32 bits raise what Python raises for them."""
    with pytest.raises(OverflowError):
        vocab.piece(2**31)
    with pytest.raises(TypeError):
        vocab.piece("a")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        vocab.tokenize(b"a")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        vocab.tokenize(None)  # type: ignore[arg-type]
