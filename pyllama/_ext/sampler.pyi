"""Sampler chains of llama-common, and one call that samples every row of a step."""

from typing_extensions import disjoint_base

from pyllama._ext.context import Context
from pyllama._ext.model import Model

@disjoint_base
class Sampler:
    """How one sequence's tokens are drawn, with the history that its penalties need.

    Any thread may make one; after that it belongs to the thread that samples. Greedy decoding
    without penalties needs no chain and takes the largest logit. Keeps the model alive.

    Args:
        model: the model whose vocabulary counts.
        params: a JSON object with all fields of ``SamplingParams``.

    Raises:
        NativeError: the JSON is malformed, a field is missing or of the wrong type, or a value is
            one that llama.cpp does not survive.

    Source: ``common_sampler_init`` (common/sampling.h).
    """

    def __new__(cls, model: Model, params: str) -> Sampler: ...
    def accept_prompt(self, tokens: list[int]) -> None:
        """Feed prompt tokens to the history. Releases the GIL.

        Args:
            tokens: token ids, shape (n_tokens,), oldest first.

        Raises:
            ValueError: a token id is outside of the vocabulary.

        Source: ``common_sampler_accept`` (common/sampling.h).
        """

    @property
    def is_greedy(self) -> bool:
        """Whether it takes the largest logit, without a chain."""

    @property
    def seed(self) -> int:
        """The seed in use, drawn where a random one was asked for.

        Source: ``common_sampler_get_seed`` (common/sampling.h).
        """

def sample_rows(context: Context, samplers: list[Sampler], rows: list[int]) -> list[int]:
    """Sample one token for each of some rows of the last decode, and add it to its history.

    Only the thread that uses the context may call it. Releases the GIL.

    Args:
        context: the context that computed the batch.
        samplers: one for each row.
        rows: batch rows that asked for logits, as :meth:`Batch.add` returned them.

    Returns:
        Token ids, shape (n_rows,).

    Raises:
        ValueError: the lists differ in length.
        TypeError: something in ``samplers`` is no sampler.
        NativeError: a row has no logits.
        RuntimeError: the context is closed.

    Source: ``common_sampler_sample`` (common/sampling.h).
    """

def sample_verify(
    context: Context, sampler: Sampler, row: int, draft: tuple[int, ...]
) -> tuple[int, int]:
    """Sample the rows of a draft one after the other, up to the first token that differs from it.

    Every token drawn is added to the sampler's history: the draws are those of decoding token by
    token. Only the thread that uses the context may call it. Releases the GIL.

    Args:
        context: the context that computed the batch.
        sampler: the sequence's sampler.
        row: batch row before the draft's first token, as :meth:`Batch.add` returned it.
        draft: the tokens of the rows after it, shape (n_draft,).

    Returns:
        How many tokens of the draft were drawn, and the token after those.

    Raises:
        NativeError: a row has no logits.
        RuntimeError: the context is closed.

    Source: ``common_sampler_sample`` (common/sampling.h).
    """
