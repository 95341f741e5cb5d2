"""What a step's result makes of the sequences that it computed."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from pyllama.sched.events import PromptScored, TokenSampled, Verified
from pyllama.sched.sequence import Status, slot_of

if TYPE_CHECKING:
    from pyllama.results import TokenLogprobs
    from pyllama.sched.drafts import Drafts
    from pyllama.sched.lifecycle import Lifecycle
    from pyllama.sched.limits import Limits
    from pyllama.sched.plan import BatchPlan, Chunk, StepResult
    from pyllama.sched.sequence import Sequence
    from pyllama.sched.slot_pool import SlotPool


class Outcome:
    """Lets sequences advance by what was computed, or forget what may have been.

    Args:
        limits: what the context can hold.
        pool: the slots, whose cells it accounts for.
        lifecycle: where sequences finish, and what happens is reported.
        drafts: told which drafts were right.
    """

    def __init__(
        self, limits: Limits, pool: SlotPool, lifecycle: Lifecycle, drafts: Drafts
    ) -> None:
        self._limits = limits
        self._pool = pool
        self._lifecycle = lifecycle
        self._drafts = drafts

    def advance(self, plan: BatchPlan, result: StepResult, now_s: float) -> None:
        """Take in a batch that was computed."""
        tokens = itertools.zip_longest(result.tokens, result.n_accepted, fillvalue=0)
        for chunk in plan.chunks:
            sequence = chunk.sequence
            tokens_done = sequence.tokens[chunk.start : chunk.start + chunk.n_own]
            self._pool.extend(slot_of(sequence), tokens_done)
            sequence.n_past += chunk.n_own
            sequence.prompt_logprobs += result.prompt_logprobs.get(sequence, ())
            if chunk.wants_token:
                token, n_accepted = next(tokens)
                self._report_scores(sequence, now_s)
                if chunk.draft:
                    self._append_draft(chunk, n_accepted, now_s)
                if sequence.status is Status.RUNNING:
                    self._append(sequence, token, now_s, result.logprobs.get(sequence))

    def undo(self, plan: BatchPlan) -> None:
        """Forget what a broken batch left behind: any part of it may have been computed."""
        for chunk in plan.chunks:
            slot = slot_of(chunk.sequence)
            if self._limits.can_trim:
                self._pool.restore(slot)
            else:
                self._pool.forget(slot)
                chunk.sequence.n_past = 0

    def _append_draft(self, chunk: Chunk, n_accepted: int, now_s: float) -> None:
        """Append the tokens of a draft that were right; the cells of the others are removed.

        One that ends the sequence makes those after it wrong too.
        """
        sequence, slot = chunk.sequence, slot_of(chunk.sequence)
        self._drafts.result(sequence, n_accepted)
        self._lifecycle.report(Verified(sequence, now_s, len(chunk.draft), n_accepted))
        n_before = len(sequence.tokens)
        for token in chunk.draft[:n_accepted]:
            if sequence.status is Status.RUNNING:
                self._append(sequence, token, now_s, None)
        tokens_done = sequence.tokens[n_before:]
        self._pool.extend(slot, tokens_done)
        sequence.n_past += len(tokens_done)
        if len(tokens_done) < len(chunk.draft):
            self._pool.restore(slot)

    def _report_scores(self, sequence: Sequence, now_s: float) -> None:
        """Report how likely the prompt was, before its first token comes."""
        if sequence.request.prompt_logprobs is not None and not sequence.n_generated:
            scores = tuple(sequence.prompt_logprobs)
            self._lifecycle.report(PromptScored(sequence, now_s, scores))

    def _append(
        self, sequence: Sequence, token: int, now_s: float, logprobs: TokenLogprobs | None
    ) -> None:
        lifecycle, max_tokens = self._lifecycle, sequence.request.max_tokens
        if max_tokens == 0:
            lifecycle.finish(sequence, "length", now_s)
            return
        if token in self._limits.eog_tokens:
            lifecycle.finish(sequence, "stop", now_s)
            return
        sequence.tokens.append(token)
        lifecycle.report(TokenSampled(sequence, now_s, token, logprobs))
        is_full = len(sequence.tokens) >= self._limits.n_ctx_seq
        if is_full or sequence.n_generated >= max_tokens:
            lifecycle.finish(sequence, "length", now_s)
