"""Drafts in a step: who guesses ahead, and what becomes of the guesses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyllama.sched.drafter import Drafter
    from pyllama.sched.plan import PlanBuilder
    from pyllama.sched.sequence import Sequence


class Drafts:
    """Lets decoding sequences guess ahead, in the room that nobody else needs.

    Args:
        drafter: whom to ask.
        n_ctx_seq: cells that one sequence may use.
    """

    def __init__(self, drafter: Drafter, n_ctx_seq: int) -> None:
        self._drafter = drafter
        self._n_ctx_seq = n_ctx_seq

    def fill(self, builder: PlanBuilder, running: list[Sequence], n_cells_free: int) -> None:
        """Add drafts behind the last tokens of a step.

        Args:
            builder: the step, complete but for them.
            running: sequences with a slot, whose pending tokens have a claim on free cells.
            n_cells_free: cells that hold nothing.
        """
        if not self._drafter.n_max:
            return
        n_cells_spare = n_cells_free - sum(sequence.n_pending for sequence in running)
        for index, chunk in enumerate(builder.chunks):
            sequence = chunk.sequence
            n_max = min(
                n_cells_spare,
                builder.n_tokens_left,
                self._n_ctx_seq - len(sequence.tokens),
                # The token after the draft is sampled too.
                sequence.request.max_tokens - sequence.n_generated - 1,
            )
            if n_max < 1 or not sequence.is_decoding or not sequence.request.may_draft:
                continue
            draft = self._drafter.draft(sequence, n_max)
            if not draft:
                continue
            builder.chunks[index] = replace(chunk, count=1 + len(draft), draft=draft)
            builder.n_tokens_left -= len(draft)
            n_cells_spare -= len(draft)

    def result(self, sequence: Sequence, n_accepted: int) -> None:
        """Take in how many tokens of a draft were right."""
        self._drafter.accept(sequence, n_accepted)

    def leave(self, sequence: Sequence) -> None:
        """Forget a sequence that runs no more."""
        self._drafter.end(sequence)
