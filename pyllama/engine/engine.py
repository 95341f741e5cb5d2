"""The engine: one thread that reads its inbox, and lets each kind of work compute in turn."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING, Any

from pyllama.engine.admission import Admission
from pyllama.engine.embedder import EmbeddingJob
from pyllama.engine.generator import Generator
from pyllama.engine.inbox import Abort, AbortAll, Check, Inbox, Start, Stop
from pyllama.engine.job import Ended
from pyllama.engine.meter import Meter
from pyllama.engine.stream import Mailbox
from pyllama.engine.ticket import Ticket
from pyllama.errors import Cancelled, EngineError
from pyllama.results import QueuePlace

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyllama.engine.admission import EngineState
    from pyllama.engine.embedder import Embedder
    from pyllama.engine.inbox import Message
    from pyllama.engine.job import Job, Work
    from pyllama.engine.runner import Runner
    from pyllama.metrics import Metrics
    from pyllama.sched import Request, Scheduler

logger = logging.getLogger(__name__)

_SHUT_DOWN = "the model was closed before the answer was complete"
_ABORTED = "the request was aborted"


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
        self._generator = Generator(runner, scheduler)
        self._embedder = embedder
        # What computes which kind of job; they take turns in this order.
        self._works: dict[type[Job], Work[Any]] = {
            Ticket: self._generator,
            EmbeddingJob: embedder,
        }
        self._on_stop = on_stop
        self._meter = Meter()
        self._inbox = Inbox()
        self._metrics: Metrics | None = None
        self._admission = Admission(scheduler.limits.n_slots + max_queue)
        self._n_slots = scheduler.limits.n_slots
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
        return self._generator.n_busy

    @property
    def n_waiting(self) -> int:
        """Accepted requests that have no slot yet."""
        return max(len(self._admission) - self.n_busy - self._embedder.n_jobs, 0)

    def place(self, ticket: Ticket) -> QueuePlace | None:
        """Return where a request waits, or None where it computes, has ended or is about to start.

        Counted at this moment, and never waits for the engine.
        """
        waiting = [job for job in self._admission.accepted() if job.is_waiting]
        waiting = waiting[max(self._n_slots - self.n_busy, 0) :]
        if ticket not in waiting:
            return None
        return QueuePlace(position=waiting.index(ticket) + 1, n_waiting=len(waiting))

    def metrics(self) -> Metrics:
        """Return what was done so far."""
        return self._metrics or self._meter.snapshot(self._generator.scheduler, self.n_waiting)

    def check(self) -> None:
        """Raise as :meth:`submit` where nobody computes any more, or not in this process."""
        self._admission.check()

    def submit(self, request: Request, mailbox: Mailbox | None = None) -> Ticket:
        """Accept a request; its events arrive on the ticket's stream. Returns at once.

        Args:
            request: what to compute.
            mailbox: gets the events of the ticket's stream; None makes one.

        Raises:
            QueueFull: every slot is busy and the waiting queue is full.
            Draining: the engine is shutting down.
            ModelClosed: the engine was closed.
            EngineError: the engine thread died.
            Forked: it is in another process.
        """
        ticket = Ticket(request, mailbox)
        self._accept(ticket)
        return ticket

    def embed(self, job: EmbeddingJob) -> None:
        """Accept a request for embeddings, whose context is there. Returns at once.

        Raises as :meth:`submit`.
        """
        self._accept(job)

    def abort(self, job: Job, reason: str = "cancelled") -> None:
        """End a request wherever it stands; returns at once, idempotent.

        Args:
            job: the request's place, as :meth:`submit` and :meth:`embed` know it.
            reason: what the metrics count it as.
        """
        if not self._admission.process.is_here:
            return
        job.abort(reason)
        self._inbox.put(Abort(job))
        self._work_of(job).cut_short(job)

    def drain(self, timeout_s: float) -> bool:
        """Take no new requests and wait for the accepted ones; end those left with Cancelled.

        Returns:
            Whether every request ended by itself.
        """
        self._admission.process.check()
        self._admission.drain()
        is_idle = self._admission.wait(timeout_s)
        if not is_idle:
            self._inbox.put(AbortAll())
            self._generator.runner.interrupt()
            self._admission.wait(5.0)
        return is_idle

    def close(self) -> None:
        """Stop the thread, ending every request with Cancelled; idempotent.

        In a forked process it does nothing: what would be stopped is not there.
        """
        if not self._admission.process.is_here:
            return
        self._admission.drain()
        self._inbox.put(Stop())
        self._generator.runner.interrupt()
        self._embedder.interrupt()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def check_integrity(self, timeout_s: float = 5.0) -> None:
        """Compare the scheduler's ledger with the memory's own count, on the engine thread.

        Raises:
            EngineError: they differ, or the engine did not answer in time, or has ended.
        """
        answer: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        self._admission.ask(lambda: self._inbox.put(Check(answer)))
        try:
            error = answer.get(timeout=timeout_s)
        except queue.Empty:
            raise EngineError("the engine did not answer") from None
        if error is not None:
            raise EngineError(str(error)) from error

    def _accept(self, job: Job) -> None:
        self._admission.admit(job, lambda: self._inbox.put(Start(job)))

    def _work_of(self, job: Job) -> Work[Any]:
        return self._works[type(job)]

    # ---- the engine thread ----------------------------------------------------------------------

    def _main(self) -> None:
        try:
            while not self._is_stopping:
                self._read_inbox()
                if not self._is_stopping:
                    self._step()
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
        self._metrics = self._meter.snapshot(self._generator.scheduler, 0)
        self._generator.close()
        self._on_stop = lambda: None

    def _read_inbox(self) -> None:
        """Do what other threads asked for; wait where there is nothing to compute."""
        # An interrupt belongs to a message that is already in the inbox: clear it first.
        self._generator.runner.clear_interrupt()
        while not self._is_stopping:
            must_wait = not any(work.has_work for work in self._works.values())
            if must_wait and not len(self._inbox):
                self._generator.verify(self._meter)
            message = self._inbox.get(must_wait=must_wait)
            if message is None:
                return
            self._handle(message)
            # What waits for the next message holds none of an earlier one.
            del message

    def _handle(self, message: Message) -> None:
        if isinstance(message, Start):
            self._start(message.job)
        elif isinstance(message, Abort):
            self._abort(message.job)
        elif isinstance(message, AbortAll):
            for job in self._admission.accepted():
                self._work_of(job).abort(job)
                self._end(Ended(job, Cancelled(_SHUT_DOWN)))
        elif isinstance(message, Check):
            message.answer.put(self._generator.check(self._meter))
        else:
            self._is_stopping = True

    def _step(self) -> None:
        """Let each kind of work that has any compute a batch."""
        for work in self._works.values():
            if work.has_work:
                others = (other for other in self._works.values() if other is not work)
                is_shared = any(other.has_work for other in others)
                for ended in work.step(self._meter, is_shared=is_shared):
                    self._end(ended)

    def _start(self, job: Job) -> None:
        if job.abort_reason is None:
            self._work_of(job).start(job)
        else:
            self._end(Ended(job, Cancelled(_ABORTED)))

    def _abort(self, job: Job) -> None:
        if self._work_of(job).abort(job):
            self._end(Ended(job, Cancelled(_ABORTED)))

    def _end(self, ended: Ended) -> None:
        """Count the end of a job and free its place; then tell who reads, who may act at once."""
        job, error, reason = ended
        if isinstance(error, Cancelled):
            reason = job.abort_reason or "cancelled"
        self._meter.end(reason)
        self._admission.release(job)
        job.end(error)

    def _die(self, error: EngineError | Cancelled) -> None:
        """End every request, those in the inbox too, and answer what is asked there."""
        self._admission.end(was_closed=isinstance(error, Cancelled), last=self._inbox.close)
        while (message := self._inbox.get(must_wait=False)) is not None:
            if isinstance(message, Check):
                message.answer.put(error)
        for job in self._admission.accepted():
            was_aborted = job.abort_reason is not None
            self._end(Ended(job, Cancelled(_ABORTED) if was_aborted else error))
