"""Generates: a step is scheduled, run, taken in and published."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from pyllama.engine.idle_runner import IdleRunner
from pyllama.engine.job import Ended
from pyllama.errors import NativeError
from pyllama.sched import BatchPlan, Finished, Scheduler

if TYPE_CHECKING:
    from pyllama.engine.meter import Meter
    from pyllama.engine.runner import Runner
    from pyllama.engine.ticket import Ticket
    from pyllama.sched import Event, Sequence

logger = logging.getLogger(__name__)

# A step with more prompt tokens than this is worth interrupting when its client leaves.
_LONG_STEP_TOKENS = 64


class Generator:
    """Continuous batching of generations, a step at a time. Belongs to the engine thread.

    Args:
        runner: computes plans.
        scheduler: decides what they compute; this object is its only user.
    """

    def __init__(self, runner: Runner, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        """Other threads may read its counts."""
        self.runner = runner
        """Other threads may interrupt it."""
        self._tickets: dict[Sequence, Ticket] = {}
        self._plan = BatchPlan()

    # ---- any thread ---------------------------------------------------------------------------

    @property
    def n_busy(self) -> int:
        """Slots that compute."""
        return len(self.scheduler.running)

    def cut_short(self, job: Ticket) -> None:
        """Interrupt the running step where it computes many prompt tokens of a request."""
        plan = self._plan
        if plan.n_tokens > _LONG_STEP_TOKENS and any(
            chunk.count > 1 and chunk.sequence.request is job.request for chunk in plan.chunks
        ):
            self.runner.interrupt()

    # ---- the engine thread ----------------------------------------------------------------------

    @property
    def has_work(self) -> bool:
        """Whether a sequence waits or runs, or memory has something to do."""
        return self.scheduler.has_work

    def start(self, job: Ticket) -> None:
        """Put a request into the scheduler's queue."""
        job.sequence = self.scheduler.add(job.request)
        self._tickets[job.sequence] = job

    def step(self, meter: Meter, *, is_shared: bool) -> list[Ended]:  # noqa: ARG002
        """Compute what the scheduler decides on; return the requests that are over with it.

        It is never shortened for other jobs: it is they who make room for streams.
        """
        self._plan = plan = self.scheduler.schedule(time.monotonic())
        ended = self._run(plan, meter) if plan else []
        self._plan = BatchPlan()
        return ended

    def abort(self, job: Ticket) -> bool:
        """Forget a request wherever it stands; return whether it was there."""
        if job.sequence is None or self._tickets.pop(job.sequence, None) is None:
            return False
        self.scheduler.abort(job.sequence, time.monotonic())
        return True

    def verify(self, meter: Meter) -> None:
        """Compare the ledger with the memory while there is time; on a difference start afresh."""
        try:
            self.scheduler.check_integrity(self.runner.cells())
        except AssertionError:
            logger.exception("the ledger of KV cells is wrong; forgetting all cached prompts")
            self.scheduler.forget_all()
            self._flush(meter)

    def check(self, meter: Meter) -> Exception | None:
        """Compare the ledger with the memory; return what is wrong."""
        try:
            # Removals that are still due would count as differences.
            self._flush(meter)
            self.scheduler.check_integrity(self.runner.cells())
        except (AssertionError, NativeError) as error:
            return error
        return None

    def close(self) -> None:
        """Drop what holds the model, and all requests."""
        limits = self.scheduler.limits
        self.runner, self.scheduler = IdleRunner(limits), Scheduler(limits)
        self._tickets.clear()
        self._plan = BatchPlan()

    def _run(self, plan: BatchPlan, meter: Meter) -> list[Ended]:
        try:
            result = self.runner.run(plan)
        except NativeError as error:
            return self._fail(plan, error)
        meter.step(plan, result)
        return self._publish(self.scheduler.update(plan, result, time.monotonic()), meter)

    def _flush(self, meter: Meter) -> None:
        """Do what the memory has to do, without a batch: so nobody ends with it."""
        plan = self.scheduler.flush()
        result = self.runner.run(plan)
        self._publish(self.scheduler.update(plan, result, time.monotonic()), meter)

    def _publish(self, events: list[Event], meter: Meter) -> list[Ended]:
        """Hand the events to those who wait for them; return the requests that are over."""
        ended = []
        for event in events:
            if isinstance(event, Finished):
                ended.append(self._finish(event))
                continue
            ticket = self._tickets[event.sequence]
            meter.event(event, ticket)
            ticket.stream.put(event)
        return ended

    def _finish(self, event: Finished) -> Ended:
        ticket = self._tickets.pop(event.sequence)
        if (fault := ticket.fault) is not None:
            logger.warning("%s: %s", ticket.request.id, fault)
            return Ended(ticket, fault)
        ticket.finished = event
        return Ended(ticket, reason=event.reason)

    def _fail(self, plan: BatchPlan, error: NativeError) -> list[Ended]:
        logger.error("a step failed: %s", error)
        # Whoever keeps the error shall not keep what this step held.
        error.__traceback__ = None
        failed = self.scheduler.fail(plan, time.monotonic())
        return [Ended(self._tickets.pop(sequence), error) for sequence in failed]
