"""Counts what the engine does: fed by its thread, read by any."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from pyllama.metrics import Histogram, Metrics
from pyllama.sched import Started, TokenSampled, Verified

if TYPE_CHECKING:
    from pyllama.engine.ticket import Ticket
    from pyllama.sched import BatchPlan, Event, Piece, Scheduler, StepResult

_WAITS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_STEPS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Meter:
    """The counts of one engine."""

    def __init__(self) -> None:
        self._prompt_tokens = 0
        self._cached_tokens = 0
        self._prompt_s = 0.0
        self._predicted_tokens = 0
        self._predicted_s = 0.0
        self._n_steps = 0
        self._n_sequence_steps = 0
        self._n_prefix_hits = 0
        self._n_started = 0
        self._n_preempted = 0
        self._n_drafted = 0
        self._n_draft_accepted = 0
        self._n_tokens_max = 0
        self._n_encoded = 0
        self._encode_s = 0.0
        self._n_embedded = 0
        self._finished: Counter[str] = Counter()
        self._queue_s = Histogram(_WAITS_S)
        self._ttft_s = Histogram(_WAITS_S)
        self._token_gap_s = Histogram(_STEPS_S)
        self._step_s = Histogram(_STEPS_S)

    # ---- the engine thread ----------------------------------------------------------------------

    def step(self, plan: BatchPlan, result: StepResult) -> None:
        """Count a step that was computed; to be called before the scheduler takes it in."""
        if not plan.chunks:
            return
        n_prompt = sum(chunk.count for chunk in plan.chunks if not chunk.sequence.is_decoding)
        self._n_steps += 1
        self._n_sequence_steps += len(plan.chunks)
        self._prompt_tokens += n_prompt
        self._step_s.observe(result.duration_s)
        self._n_encoded += result.encode_s > 0
        self._encode_s += result.encode_s
        if n_prompt:
            self._prompt_s += result.duration_s
        else:
            self._predicted_s += result.duration_s

    def embedded(self, pieces: list[Piece], duration_s: float) -> None:
        """Count a batch of embeddings, whose tokens are prompt tokens too."""
        if pieces:
            self._n_steps += 1
            self._n_sequence_steps += len(pieces)
            self._prompt_tokens += sum(piece.count for piece in pieces)
            self._prompt_s += duration_s
            self._n_embedded += sum(piece.is_last for piece in pieces)
            self._step_s.observe(duration_s)

    def event(self, event: Event, ticket: Ticket) -> None:
        """Count what became of a request; its end is counted by :meth:`end`."""
        if isinstance(event, TokenSampled):
            self._token(event, ticket)
        elif isinstance(event, Started):
            self._start(event, ticket)
        elif isinstance(event, Verified):
            self._n_drafted += event.n_drafted
            self._n_draft_accepted += event.n_accepted

    def end(self, reason: str) -> None:
        """Count the end of a request, however it came about."""
        self._finished[reason] += 1

    def _start(self, event: Started, ticket: Ticket) -> None:
        if ticket.has_started:
            # Preempted before: nobody waits for it a second time.
            self._n_preempted += 1
            return
        ticket.has_started = True
        self._n_started += 1
        self._cached_tokens += event.n_cached
        self._n_prefix_hits += event.n_cached > 0
        self._queue_s.observe(event.now_s - ticket.request.arrival_s)

    def _token(self, event: TokenSampled, ticket: Ticket) -> None:
        if ticket.last_token_s is None:
            self._ttft_s.observe(event.now_s - ticket.request.arrival_s)
        else:
            self._token_gap_s.observe(event.now_s - ticket.last_token_s)
        ticket.last_token_s = event.now_s
        self._predicted_tokens += 1
        self._n_tokens_max = max(self._n_tokens_max, len(event.sequence.tokens))

    # ---- any thread -----------------------------------------------------------------------------

    def snapshot(self, scheduler: Scheduler, n_waiting: int) -> Metrics:
        """Return the counts so far, and what the scheduler holds now."""
        limits, tier = scheduler.limits, scheduler.tier
        return Metrics(
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached_tokens,
            prompt_s=self._prompt_s,
            predicted_tokens=self._predicted_tokens,
            predicted_s=self._predicted_s,
            n_steps=self._n_steps,
            n_sequence_steps=self._n_sequence_steps,
            n_prefix_hits=self._n_prefix_hits,
            n_started=self._n_started,
            n_preempted=self._n_preempted,
            n_drafted=self._n_drafted,
            n_draft_accepted=self._n_draft_accepted,
            n_embedded=self._n_embedded,
            n_ram_entries=len(tier.entries),
            n_ram_bytes=tier.n_bytes,
            n_ram_hits=tier.n_hits,
            n_ram_tokens=tier.n_tokens_restored,
            finished=dict(self._finished),
            n_slots=limits.n_slots,
            n_busy=len(scheduler.running),
            n_waiting=n_waiting,
            n_cells=limits.n_cells,
            n_cells_used=limits.n_cells - scheduler.pool.n_cells_free,
            n_tokens_max=self._n_tokens_max,
            n_encoded=self._n_encoded,
            encode_s=self._encode_s,
            queue_s=self._queue_s.snapshot(),
            ttft_s=self._ttft_s.snapshot(),
            token_gap_s=self._token_gap_s.snapshot(),
            step_s=self._step_s.snapshot(),
        )
