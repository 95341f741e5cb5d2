"""The scheduler: continuous batching over slots, as three calls with data between them.

``add`` and ``abort`` change what is wanted, ``schedule`` says what to compute next, ``update``
takes in what came of it. One thread calls them all. Each plan of ``schedule`` is answered by one
``update`` or ``fail`` before anything is aborted or scheduled again; a plan without chunks may go
unanswered once its operations are done.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from pyllama.sched.budget import MIN_CHUNK, PrefillBudget
from pyllama.sched.chunk_end import aligned_count
from pyllama.sched.drafter import NoDrafter
from pyllama.sched.events import Finished, PromptScored, Started, TokenSampled, Verified
from pyllama.sched.limits import STEP_S
from pyllama.sched.media import MediaTurns
from pyllama.sched.placement import Placer
from pyllama.sched.plan import BatchPlan, PlanBuilder, StepStatus
from pyllama.sched.queue import WaitingQueue
from pyllama.sched.ram_tier import RamTier
from pyllama.sched.row_order import in_row_order
from pyllama.sched.sequence import Sequence, Status
from pyllama.sched.slot_pool import SlotPool

if TYPE_CHECKING:
    from pyllama.results import FinishReason, TokenLogprobs
    from pyllama.sched.drafter import Drafter
    from pyllama.sched.events import Event
    from pyllama.sched.limits import Limits
    from pyllama.sched.placement import Placement
    from pyllama.sched.plan import Chunk, StepResult
    from pyllama.sched.request import Request
    from pyllama.sched.slot import Slot


class Scheduler:
    """Decides what each step computes; knows no model, no thread and no clock.

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
        self.waiting = WaitingQueue()
        self.tier = RamTier(max_ram_bytes, can_trim=limits.can_trim, step_s=step_s)
        self.pool = SlotPool(limits, self.tier)
        self.running: list[Sequence] = []
        self._budget = budget = PrefillBudget(limits, step_s)
        self._placer = Placer(limits, self.pool, lambda: budget.token_s)
        self._drafter = drafter or NoDrafter()
        self._media = MediaTurns(step_s / 4)
        self._events: list[Event] = []
        # Who got a slot in a plan that is not taken in yet, and when.
        self._admitted: dict[Sequence, float] = {}

    @property
    def has_work(self) -> bool:
        """Whether a sequence waits or runs, or memory has something to do."""
        return bool(self.running or len(self.waiting) or self.pool.has_operations)

    def add(self, request: Request) -> Sequence:
        """Put a request into the waiting queue; return its sequence."""
        sequence = Sequence(request)
        self.waiting.append(sequence)
        return sequence

    def abort(self, sequence: Sequence, now_s: float) -> None:
        """End a sequence wherever it stands; idempotent. Its cells stay for reuse.

        No event of it is reported any more.
        """
        if sequence.status is Status.WAITING:
            self.waiting.remove(sequence)
            sequence.status = Status.FINISHED
        elif sequence.status is Status.RUNNING:
            self._leave(sequence, now_s)
        self._silence(sequence)

    def schedule(self, now_s: float) -> BatchPlan:
        """Return the next step: decoding sequences first, then prompt chunks, drafts last."""
        self.tier.begin_step()
        while (plan := self._plan(now_s)) is None:
            pass
        return plan

    def _plan(self, now_s: float) -> BatchPlan | None:
        """Return the next step; None after the sequences changed for want of cells."""
        self._admit(now_s)
        builder = self._fill_decodes()
        # Prompts always advance: they were admitted with all their cells, and give them up whole.
        self._fill_prompts(builder)
        media = self._media.take(self.running, has_text=bool(builder.chunks))
        if media is not None:
            if not self._free_cells(media):
                return None
            return BatchPlan(self.pool.take_operations(), (media,))
        if self._drafter.n_max:
            n_cells_spare = self.pool.n_cells_free - sum(item.n_pending for item in self.running)
            builder.add_drafts(self._drafter, n_cells_spare, self.limits.n_ctx_seq)
        chunks = in_row_order(builder.chunks, self.limits.n_ubatch)
        return BatchPlan(self.pool.take_operations(), chunks)

    def flush(self) -> BatchPlan:
        """Return a plan of memory operations only, for a look at the memory after it."""
        return BatchPlan(self.pool.take_operations())

    def update(self, plan: BatchPlan, result: StepResult, now_s: float) -> list[Event]:
        """Take in the result of a plan; return what happened, in order."""
        self.pool.settle(result.moves)
        self._media.observe(plan, result.duration_s)
        if result.status is StepStatus.STATE_LOST:
            self.pool.lose(plan)
        elif result.status is not StepStatus.OK:
            self._undo(plan)
        self._report_starts()
        if result.status is StepStatus.OK:
            self._budget.observe(plan, result.duration_s)
            self._advance(plan, result, now_s)
        elif result.status is StepStatus.NO_KV_CELLS:
            self._make_room(now_s)
        events, self._events = self._events, []
        return events

    def fail(self, plan: BatchPlan, now_s: float) -> list[Sequence]:
        """Give up the sequences of a plan that could not be computed; return them.

        Their cells are in an unknown state, so the slots forget them all. The plan's memory
        operations have been done: a runner fails after them.
        """
        self.pool.doubt(plan)
        failed = [chunk.sequence for chunk in plan.chunks]
        for sequence in failed:
            slot = _slot_of(sequence)
            self._leave(sequence, now_s)
            self._silence(sequence)
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

    # ---- admission ------------------------------------------------------------------------

    def _admit(self, now_s: float) -> None:
        """Give free slots to waiting sequences, first come first served.

        One that waits for another's prefix keeps its claim on a slot, so that nobody behind it
        takes the last one.
        """
        n_claims = self.limits.n_slots - len(self.running)
        for sequence in list(itertools.islice(self.waiting, n_claims)):
            if self._awaits_prefix(sequence):
                continue
            placement = self._placer.place(sequence)
            if placement is None or not self._fits(sequence, placement):
                return
            if not self.pool.prepare(placement):
                return
            self.waiting.remove(sequence)
            self.pool.bind(sequence, placement)
            sequence.status = Status.RUNNING
            self.running.append(sequence)
            self._admitted[sequence] = now_s

    def _awaits_prefix(self, sequence: Sequence) -> bool:
        """Tell whether a running sequence will soon have computed a prefix of this one."""
        if sequence.awaits is not None:
            donor, n_shared = sequence.awaits
            if donor.status is Status.RUNNING and donor.n_past < n_shared:
                return True
        sequence.awaits = self._placer.find_donor(sequence, self.running)
        return sequence.awaits is not None

    def _fits(self, sequence: Sequence, placement: Placement) -> bool:
        """Tell whether a sequence and its next token fit beside those that run."""
        slots = [_slot_of(other) for other in self.running]
        n_taken = self.pool.n_held(slots) + sum(other.n_pending for other in self.running)
        n_needed = len(sequence.tokens) + 1
        if self.limits.is_unified and placement.donor in slots:
            n_needed -= placement.n_keep
        return n_taken + n_needed <= self.limits.n_cells

    # ---- filling the batch ----------------------------------------------------------------

    def _fill_decodes(self) -> PlanBuilder:
        decoding = [sequence for sequence in self.running if sequence.is_decoding]
        self.pool.evict(
            sum(sequence.n_pending for sequence in self.running), n_needed=len(self.running)
        )
        while len(decoding) > self.pool.n_cells_free:
            # Only a unified pool gets here: the youngest gives its cells to the others.
            self._preempt(self.running[-1])
            decoding = [sequence for sequence in self.running if sequence.is_decoding]
        depths = [other.n_past for other in self._prompts(len(decoding))]
        builder = PlanBuilder(
            n_tokens_left=self.limits.n_batch,
            n_cells_left=self.pool.n_cells_free,
            n_prompt=self._budget.tokens(len(decoding), len(depths), max(depths, default=0)),
            n_scored_left=self.limits.n_scored,
        )
        for sequence in decoding:
            builder.add_decode(sequence, _slot_of(sequence).id)
        return builder

    def _prompts(self, n_decoding: int) -> list[Sequence]:
        """Return the running sequences that do not decode, as so many do."""
        if n_decoding == len(self.running):
            return []
        return [sequence for sequence in self.running if not sequence.is_decoding]

    def _free_cells(self, media: Chunk) -> bool:
        """Free the cells of a piece of media, which takes them all at once; whether it still runs.

        Those that it was admitted with may have gone to sequences that grew since: then the
        youngest gives up its own.
        """
        self.pool.evict(media.count, n_needed=media.count)
        while media.count > self.pool.n_cells_free:
            youngest = self.running[-1]
            self._preempt(youngest)
            if youngest is media.sequence:
                return False
        return True

    def _fill_prompts(self, builder: PlanBuilder) -> None:
        """Half of the room to the oldest prompt, the rest to those that it completes, then to it.

        The first half keeps a long prompt from starving, the second lets short ones pass it. Two
        long ones do not share a step: each would be computed in chunks half as efficient, and the
        first would come out later without the second coming out earlier.
        """
        prompts = [other for other in self._prompts(len(builder.chunks)) if other.media_due is None]
        if not prompts:
            return
        oldest, *others = prompts
        n_left = builder.n_prompt
        n_spare = n_left - min(n_left - n_left // 2, oldest.n_pending)
        for sequence in sorted(others, key=lambda sequence: sequence.n_pending):
            if sequence.n_pending > n_spare:
                break
            n_added = builder.add_prompt(sequence, _slot_of(sequence).id, sequence.n_pending)
            n_spare -= n_added
            n_left -= n_added
        done = {chunk.sequence for chunk in builder.chunks}
        for sequence in prompts:
            if sequence in done:
                continue
            if sequence is not oldest and n_left < MIN_CHUNK:
                break
            n_pending = sequence.n_pending
            count = aligned_count(sequence.n_past, n_left, n_pending, self.limits.n_ubatch)
            n_added = builder.add_prompt(sequence, _slot_of(sequence).id, count)
            if n_added < n_pending:
                # What an even end leaves is no room for another.
                break
            n_left -= n_added

    # ---- taking in results ------------------------------------------------------------------

    def _advance(self, plan: BatchPlan, result: StepResult, now_s: float) -> None:
        tokens = itertools.zip_longest(result.tokens, result.n_accepted, fillvalue=0)
        for chunk in plan.chunks:
            sequence = chunk.sequence
            tokens_done = sequence.tokens[chunk.start : chunk.start + chunk.n_own]
            self.pool.extend(_slot_of(sequence), tokens_done)
            sequence.n_past += chunk.n_own
            sequence.prompt_logprobs += result.prompt_logprobs.get(sequence, ())
            if chunk.wants_token:
                token, n_accepted = next(tokens)
                self._report_scores(sequence, now_s)
                if chunk.draft:
                    self._append_draft(chunk, n_accepted, now_s)
                if sequence.status is Status.RUNNING:
                    self._append(sequence, token, now_s, result.logprobs.get(sequence))

    def _append_draft(self, chunk: Chunk, n_accepted: int, now_s: float) -> None:
        """Append the tokens of a draft that were right; the cells of the others are removed.

        One that ends the sequence makes those after it wrong too.
        """
        sequence, slot = chunk.sequence, _slot_of(chunk.sequence)
        self._drafter.accept(sequence, n_accepted)
        self._events.append(Verified(sequence, now_s, len(chunk.draft), n_accepted))
        n_before = len(sequence.tokens)
        for token in chunk.draft[:n_accepted]:
            if sequence.status is Status.RUNNING:
                self._append(sequence, token, now_s, None)
        tokens_done = sequence.tokens[n_before:]
        self.pool.extend(slot, tokens_done)
        sequence.n_past += len(tokens_done)
        if len(tokens_done) < len(chunk.draft):
            self.pool.restore(slot)

    def _report_scores(self, sequence: Sequence, now_s: float) -> None:
        """Report how likely the prompt was, before its first token comes."""
        if sequence.request.prompt_logprobs is not None and not sequence.n_generated:
            scores = tuple(sequence.prompt_logprobs)
            self._events.append(PromptScored(sequence, now_s, scores))

    def _append(
        self, sequence: Sequence, token: int, now_s: float, logprobs: TokenLogprobs | None
    ) -> None:
        if sequence.request.max_tokens == 0:
            self._finish(sequence, "length", now_s)
            return
        if token in self.limits.eog_tokens:
            self._finish(sequence, "stop", now_s)
            return
        sequence.tokens.append(token)
        self._events.append(TokenSampled(sequence, now_s, token, logprobs))
        is_full = len(sequence.tokens) >= self.limits.n_ctx_seq
        if is_full or sequence.n_generated >= sequence.request.max_tokens:
            self._finish(sequence, "length", now_s)

    def _silence(self, sequence: Sequence) -> None:
        """Drop what was still to be reported of a sequence: nobody listens any more."""
        self._admitted.pop(sequence, None)
        self._events = [event for event in self._events if event.sequence is not sequence]

    def _report_starts(self) -> None:
        """Report who started, now that the cells are there which they start with, or are not."""
        for sequence, now_s in self._admitted.items():
            n_cached = min(sequence.n_past, sequence.n_prompt)
            self._events.append(Started(sequence, now_s, n_cached))
        self._admitted.clear()

    def _finish(self, sequence: Sequence, reason: FinishReason, now_s: float) -> None:
        self._leave(sequence, now_s)
        self._events.append(Finished(sequence, now_s, reason))

    def _leave(self, sequence: Sequence, now_s: float) -> None:
        self.running.remove(sequence)
        self._drafter.end(sequence)
        self._media.end(sequence)
        self.pool.release(_slot_of(sequence), now_s)
        sequence.status = Status.FINISHED

    def _undo(self, plan: BatchPlan) -> None:
        """Forget what a broken batch left behind: any part of it may have been computed."""
        for chunk in plan.chunks:
            slot = _slot_of(chunk.sequence)
            if self.limits.can_trim:
                self.pool.restore(slot)
            else:
                self.pool.forget(slot)
                chunk.sequence.n_past = 0

    def _make_room(self, now_s: float) -> None:
        """Free cells after llama.cpp found none: idle slots first, then the youngest sequence."""
        idle = [slot for slot in self.pool.idle() if slot.tokens]
        if idle:
            self.pool.discard(min(idle, key=lambda slot: slot.last_used_s), 0)
        elif len(self.running) > 1:
            self._preempt(self.running[-1])
        else:
            for sequence in list(self.running):
                self._finish(sequence, "length", now_s)

    def _preempt(self, sequence: Sequence) -> None:
        """Send a running sequence back to the queue; what the tier lacks is computed again."""
        slot = _slot_of(sequence)
        # One that computed nothing has not started either.
        self._admitted.pop(sequence, None)
        self.running.remove(sequence)
        self._drafter.end(sequence)
        self._media.end(sequence)
        self.pool.release(slot, slot.last_used_s)
        self.pool.discard(slot, 0)
        sequence.n_past = 0
        self.waiting.push_front(sequence)


def _slot_of(sequence: Sequence) -> Slot:
    slot = sequence.slot
    if slot is None:
        raise AssertionError(f"{sequence!r} runs without a slot")
    return slot
