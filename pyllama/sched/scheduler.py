"""The scheduler: continuous batching over slots, as three calls with data between them.

``add`` and ``abort`` change what is wanted, ``schedule`` says what to compute next, ``update``
takes in what came of it. One thread calls them all. Each plan of ``schedule`` is answered by one
``update`` or ``fail`` before anything is aborted or scheduled again; a plan without chunks may go
unanswered once its operations are done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyllama.sched.admitter import Admitter
from pyllama.sched.budget import PrefillBudget
from pyllama.sched.drafter import NoDrafter
from pyllama.sched.drafts import Drafts
from pyllama.sched.lifecycle import Lifecycle
from pyllama.sched.limits import STEP_S
from pyllama.sched.media import MediaTurns
from pyllama.sched.outcome import Outcome
from pyllama.sched.placement import Placer
from pyllama.sched.plan import BatchPlan, PlanBuilder, StepStatus
from pyllama.sched.preemption import Preemption
from pyllama.sched.prompt_share import add_prompts
from pyllama.sched.ram_tier import RamTier
from pyllama.sched.row_order import in_row_order
from pyllama.sched.sequence import slot_of
from pyllama.sched.slot_pool import SlotPool

if TYPE_CHECKING:
    from pyllama.sched.drafter import Drafter
    from pyllama.sched.events import Event
    from pyllama.sched.limits import Limits
    from pyllama.sched.plan import StepResult
    from pyllama.sched.queue import WaitingQueue
    from pyllama.sched.request import Request
    from pyllama.sched.sequence import Sequence


class Scheduler:
    """Decides what each step computes; knows no model, no thread and no clock.

    What is decided has a place each: who is admitted, who gives up cells, which prompts share a
    step, what a result means. Features are objects that are called at named moments of a step:
    ``fill``, ``result`` and ``leave``.

    Args:
        limits: what the context can hold.
        step_s: target duration of a step with decoding sequences, seconds.
        max_ram_bytes: host memory for evicted prefixes; None is no limit.
        drafter: guesses ahead; None decodes token by token.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        step_s: float = STEP_S,
        max_ram_bytes: int | None = 0,
        drafter: Drafter | None = None,
    ) -> None:
        self.limits = limits
        self.tier = RamTier(max_ram_bytes, can_trim=limits.can_trim, step_s=step_s)
        self.pool = pool = SlotPool(limits, self.tier)
        self._budget = budget = PrefillBudget(limits, step_s)
        self._drafts = Drafts(drafter or NoDrafter(), limits.n_ctx_seq)
        self._media = MediaTurns(step_s / 4)
        self._lifecycle = lifecycle = Lifecycle(pool, (self._drafts, self._media))
        placer = Placer(limits, pool, lambda: budget.token_s)
        self._admitter = Admitter(limits, pool, placer, lifecycle)
        self._preemption = Preemption(pool, lifecycle)
        self._outcome = Outcome(limits, pool, lifecycle, self._drafts)

    @property
    def waiting(self) -> WaitingQueue:
        """Sequences without a slot."""
        return self._lifecycle.waiting

    @property
    def running(self) -> list[Sequence]:
        """Sequences with a slot, in the order of their admission."""
        return self._lifecycle.running

    @property
    def has_work(self) -> bool:
        """Whether a sequence waits or runs, or memory has something to do."""
        lifecycle = self._lifecycle
        return bool(lifecycle.running or len(lifecycle.waiting) or self.pool.has_operations)

    def add(self, request: Request) -> Sequence:
        """Put a request into the waiting queue; return its sequence."""
        return self._lifecycle.add(request)

    def abort(self, sequence: Sequence, now_s: float) -> None:
        """End a sequence wherever it stands; idempotent. Its cells stay for reuse.

        No event of it is reported any more.
        """
        self._lifecycle.drop(sequence, now_s)

    def schedule(self, now_s: float) -> BatchPlan:
        """Return the next step: decoding sequences first, then prompt chunks, drafts last."""
        self.tier.begin_step()
        while (plan := self._plan(now_s)) is None:
            pass
        return plan

    def flush(self) -> BatchPlan:
        """Return a plan of memory operations only, for a look at the memory after it."""
        return BatchPlan(self.pool.take_operations())

    def update(self, plan: BatchPlan, result: StepResult, now_s: float) -> list[Event]:
        """Take in the result of a plan; return what happened, in order."""
        self.pool.settle(result.moves)
        self._media.result(plan, result.duration_s)
        if result.status is StepStatus.STATE_LOST:
            self.pool.invalidate_loads(plan)
        elif result.status is not StepStatus.OK:
            self._outcome.undo(plan)
        self._lifecycle.report_starts()
        if result.status is StepStatus.OK:
            self._budget.observe(plan, result.duration_s)
            self._outcome.advance(plan, result, now_s)
        elif result.status is StepStatus.NO_KV_CELLS:
            self._preemption.free_after_refusal(now_s)
        return self._lifecycle.take_events()

    def fail(self, plan: BatchPlan, now_s: float) -> list[Sequence]:
        """Give up the sequences of a plan that could not be computed; return them.

        Their cells are in an unknown state, so the slots forget them all. The plan's memory
        operations have been done: a runner fails after them.
        """
        self.pool.invalidate_saves(plan)
        failed = [chunk.sequence for chunk in plan.chunks]
        for sequence in failed:
            slot = slot_of(sequence)
            self._lifecycle.drop(sequence, now_s)
            self.pool.forget(slot)
        return failed

    def forget_all(self) -> None:
        """Forget every cell of every idle slot, whatever the ledger says of it, and the tier."""
        self.pool.forget_all()

    def check_integrity(self, cells: dict[int, int]) -> None:
        """Compare the ledger with the memory's own count of cells for each slot id.

        Raises:
            AssertionError: they differ, which is a fault in this room.
        """
        ledger = {slot.id: len(slot.tokens) for slot in self.pool.slots}
        if cells != ledger:
            raise AssertionError(f"the ledger says {ledger}, the memory {cells}")

    def _plan(self, now_s: float) -> BatchPlan | None:
        """Return the next step; None after the sequences changed for want of cells."""
        lifecycle, pool, limits = self._lifecycle, self.pool, self.limits
        if len(lifecycle.waiting):
            self._admitter.admit(now_s)
        builder = self._builder(self._preemption.free_for_text())
        running = lifecycle.running
        if (media := self._media.fill(running, has_text=bool(builder.chunks))) is not None:
            if not self._preemption.free_for_media(media):
                return None
            return BatchPlan(pool.take_operations(), (media,))
        self._drafts.fill(builder, running, pool.n_cells_free)
        chunks = in_row_order(builder.chunks, limits.n_ubatch)
        return BatchPlan(pool.take_operations(), chunks)

    def _builder(self, decoding: list[Sequence]) -> PlanBuilder:
        """Return a step with the last tokens of those that decode, and chunks of prompts."""
        limits, running = self.limits, self._lifecycle.running
        prompts: list[Sequence] = []
        if len(decoding) < len(running):
            prompts = [sequence for sequence in running if not sequence.is_decoding]
        depth = max((sequence.n_past for sequence in prompts), default=0)
        builder = PlanBuilder(
            n_tokens_left=limits.n_batch,
            n_cells_left=self.pool.n_cells_free,
            n_prompt=self._budget.tokens(len(decoding), len(prompts), depth),
            n_scored_left=limits.n_scored,
        )
        for sequence in decoding:
            builder.add_decode(sequence, slot_of(sequence).id)
        texts = [sequence for sequence in prompts if sequence.media_due is None]
        add_prompts(builder, texts, limits.n_ubatch)
        return builder
