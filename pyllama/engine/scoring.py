"""Log probabilities of a step: of the tokens that were drawn, and of prompts that are scored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyllama._ext.sampler import score_rows
from pyllama.results import TokenLogprobs

if TYPE_CHECKING:
    from pyllama._ext.batch import Batch
    from pyllama._ext.context import Context
    from pyllama._ext.sampler import WorkerPool
    from pyllama.sched import BatchPlan, Chunk, Sequence


class PromptScoring:
    """The rows of one batch whose logits say how likely the prompts' next tokens were."""

    def __init__(self, context: Context, pool: WorkerPool) -> None:
        self._context = context
        self._pool = pool
        self._parts: list[tuple[Chunk, int]] = []

    def add(self, chunk: Chunk, batch: Batch, last_row: int) -> None:
        """Ask for the logits of a chunk's scored positions; its last token is in ``last_row``."""
        if chunk.scored:
            row = last_row - (chunk.start + chunk.count - 1) + chunk.scored.start
            batch.want_logits(row, len(chunk.scored))
            self._parts.append((chunk, row))

    def result(self) -> dict[Sequence, tuple[TokenLogprobs, ...]]:
        """Return how likely the tokens were, once the batch is computed. Releases the GIL."""
        return {chunk.sequence: self._score(chunk, row) for chunk, row in self._parts}

    def _score(self, chunk: Chunk, row: int) -> tuple[TokenLogprobs, ...]:
        scored = chunk.scored
        rows = list(range(row, row + len(scored)))
        tokens = chunk.sequence.tokens[scored.start + 1 : scored.stop + 1]
        n_top = chunk.sequence.request.prompt_logprobs or 0
        return tuple(map(_of, score_rows(self._context, rows, tokens, n_top, self._pool)))


def drawn_logprobs(plan: BatchPlan) -> dict[Sequence, TokenLogprobs]:
    """Return how likely the tokens were that a step drew, where their requests ask for it."""
    return {
        chunk.sequence: _of(report)
        for chunk in plan.chunks
        if chunk.wants_token and chunk.sequence.request.sampler.has_logprobs
        for report in chunk.sequence.request.sampler.take_logprobs()
    }


def _of(report: tuple[int, float, tuple[tuple[int, float], ...]]) -> TokenLogprobs:
    token, logprob, top = report
    return TokenLogprobs(token=token, logprob=logprob, top=top)
