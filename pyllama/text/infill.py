"""Prompts that ask for what stands between two texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyllama.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyllama._ext.vocab import Vocab
    from pyllama.text.text_limit import TextLimit


def infill_tokens(
    vocab: Vocab, prefix: str | Sequence[int], suffix: str, limit: TextLimit | None = None
) -> list[int]:
    """Return the tokens after which a model writes the middle.

    Args:
        vocab: the vocabulary; code models have tokens for this.
        prefix: what comes before, as text or token ids.
        suffix: what comes after.
        limit: refuses texts that cannot fit; None tokenises those of any length.

    Raises:
        Unsupported: the vocabulary has no such tokens.
        ContextOverflow: a text is far too long.
    """
    if vocab.infill is None:
        raise Unsupported(
            "suffix is not supported: this model was not made to fill in; send the prompt alone, "
            "or load a model with tokens for it",
            param="suffix",
        )
    if limit is not None:
        limit.check((prefix if isinstance(prefix, str) else "") + suffix)
    before, after, middle = vocab.infill
    bos = [vocab.bos] if vocab.adds_bos and vocab.bos is not None else []
    start = vocab.tokenize(prefix) if isinstance(prefix, str) else prefix
    return [*bos, before, *start, after, *vocab.tokenize(suffix), middle]
