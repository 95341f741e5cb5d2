"""The ``logit_bias`` field: which tokens are to be likelier, less likely, or never sampled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest
from pyllama.interruption import checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pyllama import Llama

MAX_TEXTS = 1000
"""Most texts instead of ids: to tokenise one takes longer than all else here."""


def read_logit_bias(value: Mapping[str, Any] | Sequence[Any], llm: Llama) -> list[tuple[int, Any]]:
    """Return token ids and their biases.

    OpenAI's form is an object of token ids, ``{"42": -100}``. llama-server's also takes a list of
    pairs; a text instead of an id, which stands for each of its tokens; and ``false``, which bans.

    Raises:
        InvalidRequest: an entry has another form, an id is none of the vocabulary, or there are
            too many texts.
    """
    biases: list[tuple[int, Any]] = []
    n_texts = 0
    for token, bias, path in _entries(value):
        checkpoint()
        n_texts += isinstance(token, str)
        if n_texts > MAX_TEXTS:
            raise InvalidRequest(
                f"logit_bias has more than {MAX_TEXTS} texts; send token ids", param="logit_bias"
            )
        tokens = [token] if isinstance(token, int) else llm.tokenize(token)
        for token_id in tokens:
            if not 0 <= token_id < llm.info.n_vocab:
                raise InvalidRequest(
                    f"{path} must be for a token id below {llm.info.n_vocab}, not {token_id}",
                    param=path,
                )
            biases.append((token_id, bias))
    return biases


def _entries(value: Mapping[str, Any] | Sequence[Any]) -> Iterator[tuple[int | str, Any, str]]:
    """Yield each token, its bias, and where they stand."""
    if isinstance(value, dict):
        for key, bias in value.items():
            yield (int(key) if _is_id(key) else key), bias, f"logit_bias.{key[:40]}"
        return
    for index, entry in enumerate(value):
        path = f"logit_bias[{index}]"
        if not isinstance(entry, list) or len(entry) != 2:
            raise InvalidRequest(f"{path} must be a pair such as [42, -100]", param=path)
        token, bias = entry
        if isinstance(token, bool) or not isinstance(token, (int, str)):
            raise InvalidRequest(f"{path} must begin with a token id or a text", param=path)
        yield token, bias, path


def _is_id(key: str) -> bool:
    # Python refuses to read endless digits; no vocabulary has ids of ten.
    return key.isascii() and key.removeprefix("-").isdigit() and len(key) <= 10
