"""Sampler chains of llama-common, and one call that samples or scores every row of a step."""

from typing import TypeAlias

from typing_extensions import disjoint_base

from pyllama._ext.context import Context
from pyllama._ext.model import Model

# How likely a token was: its id, the natural logarithm of its probability (the smallest float32
# where that is 0), and the ids and logarithms of the likeliest tokens at its place, best first.
_Report: TypeAlias = tuple[int, float, tuple[tuple[int, float], ...]]

@disjoint_base
class Sampler:
    """How one sequence's tokens are drawn, with the history that its penalties need.

    Any thread may make one; after that it belongs to the thread that samples. Greedy decoding
    without penalties needs no chain and takes the largest logit. Keeps the model alive.

    Args:
        model: the model whose vocabulary counts.
        params: a JSON object with all fields of ``SamplingParams``, ``logprobs`` and
            ``post_sampling_probs``.

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
    def n_candidates(self) -> int:
        """How many of the largest logits it looks at; 0: the whole vocabulary.

        It is k where the first link of the chain that does anything is top-k: what comes after
        sees k candidates anyway. Of equal logits the lower token is the larger one.
        """

    @property
    def has_logprobs(self) -> bool:
        """Whether it keeps a report of each token that it draws."""

    def take_logprobs(self) -> list[_Report]:
        """Return the reports of the tokens drawn since the last call, oldest first.

        Without ``post_sampling_probs`` they tell the model's probabilities, before any bias,
        penalty or temperature; with it those that the token was drawn with.
        """

    @property
    def has_given_up(self) -> bool:
        """Whether its grammar was too ambiguous to go on with.

        The last token drawn is then an end of generation, wherever the answer stands.
        """

    @property
    def seed(self) -> int:
        """The seed in use, drawn where a random one was asked for.

        Source: ``common_sampler_get_seed`` (common/sampling.h).
        """

@disjoint_base
class WorkerPool:
    """Threads that share the rows of a call; they hold no GIL and sleep between calls.

    In a process that was forked from theirs, calls do all the work on their own thread.

    Args:
        n_threads: how many share the work, the calling one included; 64 at most are used.

    Raises:
        ValueError: ``n_threads`` is below 1.
    """

    def __new__(cls, n_threads: int) -> WorkerPool: ...

def sample_rows(
    context: Context, samplers: list[Sampler], rows: list[int], pool: WorkerPool | None = None
) -> list[int]:
    """Sample one token for each of some rows of the last decode, and add it to its history.

    Only the thread that uses the context may call it. Releases the GIL.

    Args:
        context: the context that computed the batch.
        samplers: one for each row. The rows of one sampler stand side by side, in the order of
            their tokens.
        rows: batch rows that asked for logits, as :meth:`Batch.add` returned them.
        pool: threads to share the rows; without it the calling thread samples one after another.
            The tokens are the same.

    Returns:
        Token ids, shape (n_rows,).

    Raises:
        ValueError: the lists differ in length.
        TypeError: something in ``samplers`` is no sampler.
        NativeError: a row has no logits, or they hold no number.
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

def score_rows(
    context: Context,
    rows: list[int],
    tokens: list[int],
    n_top: int,
    pool: WorkerPool | None = None,
) -> list[_Report]:
    """Tell how likely given tokens were, by rows of the last decode.

    Only the thread that uses the context may call it. Releases the GIL.

    Args:
        context: the context that computed the batch.
        rows: batch rows that asked for logits.
        tokens: the token after each row's own, shape (n_rows,).
        n_top: how many of the likeliest tokens to tell beside it.
        pool: threads to share the rows.

    Raises:
        ValueError: the lists differ in length, or ``n_top`` is below 0.
        NativeError: a row has no logits, or a token is outside of the vocabulary.
        RuntimeError: the context is closed.
    """
