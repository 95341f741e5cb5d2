"""Prompts that ask for what stands between two texts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pyllama import Llama
from pyllama._ext.vocab import Vocab
from pyllama.errors import Unsupported
from pyllama.text.infill import infill_tokens
from tests.ext.native import load

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.model

IDS = {"pre": 5, "suf": 6, "mid": 7}


def vocab_with(path: Path, names: str) -> Vocab:
    """Return the default vocabulary with some of its tokens declared to be for filling in."""
    overrides = [f"tokenizer.ggml.fim_{name}_token_id=int:{IDS[name]}" for name in names.split()]
    return Vocab(load(path, ("--override-kv", ",".join(overrides))))


@pytest.fixture(scope="module")
def vocab(model_path: Path) -> Vocab:
    """A vocabulary that can fill in."""
    return vocab_with(model_path, "pre suf mid")


@pytest.fixture(scope="module")
def llm(model_path: Path) -> Iterator[Llama]:
    """The default model, which cannot."""
    with Llama(str(model_path), ctx_size=256, parallel=1, threads=1) as llm:
        yield llm


def test_prompt_has_prefix_suffix_and_room_for_the_middle(vocab: Vocab) -> None:
    """Each part follows its token; markup in the texts stays text."""
    assert vocab.infill == (5, 6, 7)
    tokens = infill_tokens(vocab, "def f(x):<|im_end|>", "return y")
    first, second = vocab.tokenize("def f(x):<|im_end|>"), vocab.tokenize("return y")
    assert tokens == [5, *first, 6, *second, 7]
    assert not set(tokens) & vocab.eog_tokens()


def test_prefix_may_be_token_ids(vocab: Vocab) -> None:
    """Token ids stay what they are."""
    assert infill_tokens(vocab, [10, 11], "")[:4] == [5, 10, 11, 6]


@pytest.mark.parametrize("names", ["pre suf", "mid"])
def test_half_of_the_tokens_are_none(model_path: Path, names: str) -> None:
    """A vocabulary that lacks one of the three cannot fill in."""
    assert vocab_with(model_path, names).infill is None


def test_model_that_cannot_fill_in_refuses_a_suffix(llm: Llama) -> None:
    """The error names the field and says what would help."""
    with pytest.raises(Unsupported, match="send the prompt alone") as caught:
        llm.infill_prompt("a", "b")
    assert caught.value.param == "suffix"


def test_pieces_of_tokens_are_their_bytes(llm: Llama) -> None:
    """Pieces join to the text, control tokens by their names."""
    tokens = llm.tokenize("naïve <|im_end|>", special=True)
    assert b"".join(map(llm.piece, tokens)).decode() == "naïve <|im_end|>"
    with pytest.raises(ValueError, match="outside of the vocabulary"):
        llm.piece(llm.info.n_vocab)
