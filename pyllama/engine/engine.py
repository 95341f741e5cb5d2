"""The engine: one thread that drains its inbox, schedules, runs, updates and publishes."""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

from pyllama.engine.admission import Admission
from pyllama.engine.idle_runner import IdleRunner
from pyllama.engine.meter import Meter
from pyllama.engine.stream import Failed
from pyllama.engine.ticket import Ticket
from pyllama.errors import Cancelled, EngineError, NativeError
from pyllama.results import QueuePlace
from pyllama.sched import BatchPlan, Finished, Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyllama.engine.admission import EngineState
    from pyllama.engine.embedder import Embedder, EmbeddingJob
    from pyllama.engine.runner import Runner
    from pyllama.errors import PyllamaError
    from pyllama.metrics import Metrics
    from pyllama.sched import Event, Request, Sequence

logger = logging.getLogger(__name__)

# A step with more prompt tokens than this is worth interrupting when its client leaves.
_LONG_STEP_TOKENS = 64
_SHUT_DOWN = "the model was closed before the answer was complete"


class _Nowhere:
    """The inbox of an engine that has ended: what comes late is dropped, and holds nothing."""

    def put(self, _message: object) -> None:
        """Drop a message."""


class Engine:
    """Continuous batching on one thread.

    Args:
        runner: computes plans.
        scheduler: decides what they compute; this object is its only user from now on.
        embedder: computes embeddings between the steps; the engine's from now on.
        max_queue: requests that may wait beside those that run.
        on_stop: called on the engine thread as its last act, to free what the thread owned.
    """

    def __init__(
        self,
        runner: Runner,
        scheduler: Scheduler,
        embedder: Embedder,
        *,
        max_queue: int,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        self._runner = runner
        self._scheduler = scheduler
        self._embedder = embedder
        self._on_stop = on_stop
        self._meter = Meter()
        self._messages: queue.SimpleQueue[tuple[Callable[[Any], None], Any]] = queue.SimpleQueue()
        self._inbox: queue.SimpleQueue[tuple[Callable[[Any], None], Any]] | _Nowhere = (
            self._messages
        )
        self._metrics: Metrics | None = None
        self._tickets: dict[Sequence, Ticket] = {}
        self._admission = Admission(scheduler.limits.n_slots + max_queue)
        self._plan = BatchPlan()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._main, name="pyllama-engine", daemon=True)
        self._thread.start()

    # ---- any thread ---------------------------------------------------------------------------

    @property
    def state(self) -> EngineState:
        """Whether requests are taken."""
        return self._admission.state

    @property
    def max_accepted(self) -> int:
        """Requests that can be accepted at the same time."""
        return self._admission.max_accepted

    @property
    def n_busy(self) -> int:
        """Slots that compute."""
        return len(self._scheduler.running)

    @property
    def n_waiting(self) -> int:
        """Accepted requests that have no slot yet."""
        return max(len(self._admission) - self.n_busy - self._embedder.n_jobs, 0)

    def place(self, ticket: Ticket) -> QueuePlace | None:
        """Return where a request waits, or None where it computes, has ended or is about to start.

        Counted at this moment, and never waits for the engine.
        """
        waiting = [held for held in self._admission.accepted() if isinstance(held, Ticket)]
        waiting = [other for other in waiting if other.is_waiting]
        waiting = waiting[max(self._scheduler.limits.n_slots - self.n_busy, 0) :]
        if ticket not in waiting:
            return None
        return QueuePlace(position=waiting.index(ticket) + 1, n_waiting=len(waiting))

    def metrics(self) -> Metrics:
        """Return what was done so far."""
        return self._metrics or self._meter.snapshot(self._scheduler, self.n_waiting)

    def check(self) -> None:
        """Raise as :meth:`submit` where nobody computes any more, or not in this process."""
        self._admission.check()

    def submit(self, request: Request, ring: Callable[[], None] | None = None) -> Ticket:
        """Accept a request; its events arrive on the ticket's stream. Returns at once.

        Args:
            request: what to compute.
            ring: called on the engine thread after each event of the stream; must not block.

        Raises:
            QueueFull: every slot is busy and the waiting queue is full.
            Draining: the engine is shutting down.
            ModelClosed: the engine was closed.
            EngineError: the engine thread died.
            Forked: it is in another process.
        """
        ticket = Ticket(request, ring)
        self._accept(self._add, ticket)
        return ticket

    def embed(self, job: EmbeddingJob) -> None:
        """Accept a request for embeddings, whose context is there. Returns at once.

        Raises as :meth:`submit`.
        """
        self._accept(self._add_job, job)

    def abort(self, ticket: Ticket, reason: str = "cancelled") -> None:
        """End a request wherever it stands; returns at once, idempotent.

        Args:
            ticket: the request's place.
            reason: what the metrics count it as.
        """
        if not self._admission.process.is_here:
            return
        ticket.abort_reason = reason
        ticket.stream.close()
        self._inbox.put((self._abort, ticket))
        if self._is_long_step_of(ticket):
            self._runner.interrupt()

    def abort_job(self, job: EmbeddingJob) -> None:
        """End a request for embeddings wherever it stands; returns at once, idempotent."""
        if self._admission.process.is_here:
            self._inbox.put((self._abort_embedding, job))

    def drain(self, timeout_s: float) -> bool:
        """Take no new requests and wait for the accepted ones; end those left with Cancelled.

        Returns:
            Whether every request ended by itself.
        """
        self._admission.process.check()
        self._admission.drain()
        is_idle = self._admission.wait(timeout_s)
        if not is_idle:
            self._inbox.put((self._abort_all, None))
            self._runner.interrupt()
            self._admission.wait(5.0)
        return is_idle

    def close(self) -> None:
        """Stop the thread, ending every request with Cancelled; idempotent.

        In a forked process it does nothing: what would be stopped is not there.
        """
        if not self._admission.process.is_here:
            return
        self._admission.drain()
        self._inbox.put((self._stop, None))
        self._runner.interrupt()
        self._embedder.interrupt()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def check_integrity(self, timeout_s: float = 5.0) -> None:
        """Compare the scheduler's ledger with the memory's own count, on the engine thread.

        Raises:
            EngineError: they differ, or the engine did not answer in time, or has ended.
        """
        answer: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        self._admission.ask(lambda: self._inbox.put((self._check, answer)))
        try:
            error = answer.get(timeout=timeout_s)
        except queue.Empty:
            raise EngineError("the engine did not answer") from None
        if error is not None:
            raise EngineError(str(error)) from error

    def _accept(self, handler: Callable[[Any], None], held: Ticket | EmbeddingJob) -> None:
        self._admission.admit(held, lambda: self._inbox.put((handler, held)))

    def _is_long_step_of(self, ticket: Ticket) -> bool:
        plan = self._plan
        return plan.n_tokens > _LONG_STEP_TOKENS and any(
            chunk.count > 1 and chunk.sequence.request is ticket.request for chunk in plan.chunks
        )

    # ---- the engine thread ----------------------------------------------------------------------

    def _main(self) -> None:
        try:
            while not self._is_stopping:
                self._drain_inbox()
                if not self._is_stopping:
                    self._step()
                    self._embed()
        except Exception as error:
            logger.exception("the engine thread failed")
            self._die(EngineError(f"the engine failed: {error}"))
        else:
            self._die(Cancelled(_SHUT_DOWN))
        finally:
            self._embedder.close()
            self._on_stop()
            self._let_go()

    def _let_go(self) -> None:
        """Drop what holds the model: who still holds the engine shall not keep that in memory."""
        limits = self._scheduler.limits
        self._metrics = self._meter.snapshot(self._scheduler, 0)
        self._runner, self._scheduler = IdleRunner(limits), Scheduler(limits)
        self._on_stop = lambda: None
        self._plan = BatchPlan()

    def _drain_inbox(self) -> None:
        """Handle what other threads asked for; wait where there is nothing to compute."""
        # An interrupt belongs to a message that is already in the inbox: clear it first.
        self._runner.clear_interrupt()
        while not self._is_stopping:
            must_wait = not (self._scheduler.has_work or self._embedder.has_work)
            if must_wait and self._messages.empty():
                self._verify()
            try:
                handler, argument = self._messages.get(block=must_wait)
            except queue.Empty:
                return
            handler(argument)
            # What waits for the next message holds none of an earlier one.
            del handler, argument

    def _verify(self) -> None:
        """Compare the ledger with the memory while there is time; on a difference start afresh."""
        try:
            self._scheduler.check_integrity(self._runner.cells())
        except AssertionError:
            logger.exception("the ledger of KV cells is wrong; forgetting all cached prompts")
            self._scheduler.forget_all()
            self._flush()

    def _flush(self) -> None:
        """Do what the memory has to do, without a batch."""
        plan = self._scheduler.flush()
        result = self._runner.run(plan)
        self._publish(self._scheduler.update(plan, result, time.monotonic()))

    def _step(self) -> None:
        self._plan = plan = self._scheduler.schedule(time.monotonic())
        if plan:
            try:
                result = self._runner.run(plan)
            except NativeError as error:
                self._fail(plan, error)
            else:
                self._meter.step(plan, result)
                self._publish(self._scheduler.update(plan, result, time.monotonic()))
        self._plan = BatchPlan()

    def _embed(self) -> None:
        """Compute a batch of embeddings: streams and these take turns."""
        if self._embedder.has_work:
            pieces, over, duration_s = self._embedder.step(has_company=self._scheduler.has_work)
            self._meter.embedded(pieces, duration_s)
            for job in over:
                self._end_job(job)

    def _publish(self, events: list[Event]) -> None:
        for event in events:
            ticket = self._tickets[event.sequence]
            if isinstance(event, Finished) and (fault := ticket.fault) is not None:
                logger.warning("%s: %s", ticket.request.id, fault)
                self._end(ticket, fault)
                continue
            self._meter.event(event)
            if isinstance(event, Finished):
                # First the place, then the news: who reads the end may submit again at once.
                self._forget(ticket)
            ticket.stream.put(event)

    def _fail(self, plan: BatchPlan, error: NativeError) -> None:
        logger.error("a step failed: %s", error)
        # Whoever keeps the error shall not keep what this step held.
        error.__traceback__ = None
        for sequence in self._scheduler.fail(plan, time.monotonic()):
            self._end(self._tickets[sequence], error)

    def _add(self, ticket: Ticket) -> None:
        if ticket.stream.is_closed:
            self._meter.count(ticket.abort_reason)
            self._forget(ticket)
            return
        sequence = self._scheduler.add(ticket.request)
        ticket.sequence = sequence
        self._tickets[sequence] = ticket

    def _abort(self, ticket: Ticket) -> None:
        if ticket.sequence in self._tickets:
            self._scheduler.abort(ticket.sequence, time.monotonic())
            self._meter.end(ticket.sequence, ticket.abort_reason)
            self._forget(ticket)

    def _add_job(self, job: EmbeddingJob) -> None:
        self._embedder.add(job)

    def _abort_embedding(self, job: EmbeddingJob) -> None:
        if self._embedder.remove(job):
            self._end_job(job, Cancelled("the request was aborted"))

    def _end_job(self, job: EmbeddingJob, error: PyllamaError | None = None) -> None:
        error = job.error or error
        reason = "embedded" if error is None else "error"
        # First the count and the place, then the news: who reads the end may look at once.
        self._meter.count("cancelled" if isinstance(error, Cancelled) else reason)
        self._release_place(job)
        job.end(error)

    def _abort_all(self, _: None) -> None:
        for sequence, ticket in list(self._tickets.items()):
            self._scheduler.abort(sequence, time.monotonic())
            self._end(ticket, Cancelled(_SHUT_DOWN))
        for job in self._embedder.remove_all():
            self._end_job(job, Cancelled(_SHUT_DOWN))

    def _stop(self, _: None) -> None:
        self._is_stopping = True

    def _check(self, answer: queue.SimpleQueue[Exception | None]) -> None:
        try:
            # Removals that are still due would count as differences.
            self._flush()
            self._scheduler.check_integrity(self._runner.cells())
        except (AssertionError, NativeError) as error:
            answer.put(error)
        else:
            answer.put(None)

    def _end(self, ticket: Ticket, error: PyllamaError) -> None:
        reason = "cancelled" if isinstance(error, Cancelled) else "error"
        if ticket.sequence is None:
            self._meter.count(reason)
        else:
            self._meter.end(ticket.sequence, reason)
        self._forget(ticket)
        ticket.stream.put(Failed(error))

    def _forget(self, ticket: Ticket) -> None:
        if ticket.sequence is not None:
            del self._tickets[ticket.sequence]
        ticket.release()
        self._release_place(ticket)

    def _release_place(self, held: Ticket | EmbeddingJob) -> None:
        self._admission.release(held)

    def _die(self, error: EngineError | Cancelled) -> None:
        """End every request: those that run, and those still in the inbox."""
        self._admission.end(was_closed=isinstance(error, Cancelled), last=self._stop_reading)
        while not self._messages.empty():
            handler, argument = self._messages.get_nowait()
            if handler == self._add and argument.stream.is_closed:
                self._add(argument)
            elif handler == self._add:
                self._end(argument, error)
            elif handler == self._add_job:
                self._end_job(argument, error)
            elif handler == self._check:
                argument.put(error)
        for ticket in list(self._tickets.values()):
            self._end(ticket, error)
        for job in self._embedder.remove_all():
            self._end_job(job, error)

    def _stop_reading(self) -> None:
        self._inbox = _Nowhere()
