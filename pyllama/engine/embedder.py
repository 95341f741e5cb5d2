"""Embeds the inputs of many requests, a batch at a time, between the steps of the generations."""

from __future__ import annotations

import threading
import time
from array import array
from typing import TYPE_CHECKING

from pyllama.engine.embedding_context import EmbeddingContext, Pooling
from pyllama.engine.job import Ended
from pyllama.errors import Cancelled, ModelClosed, NativeError
from pyllama.interruptible import interruptible
from pyllama.sched import Lot, Packer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyllama.engine.meter import Meter
    from pyllama.errors import PyllamaError
    from pyllama.sched import Piece

# A batch beside running streams before anything was measured.
_FIRST_TOKENS = 64
# Fewer tokens waste the pass over the weights that they cost.
_MIN_TOKENS = 32
# Weight of the newest measurement in the moving average of a token's cost.
_ALPHA = 0.3


class EmbeddingJob:
    """One request's inputs and, bit by bit, their rows: filled by the engine thread, read by one.

    Args:
        inputs: token ids of each input, none of them empty.
    """

    def __init__(self, inputs: Sequence[tuple[int, ...]]) -> None:
        self.lot = Lot(inputs)
        self.rows: list[array[float]] = [array("f") for _ in inputs]
        """Of each input float32, shape (n_rows * n_embd,): one row, or one a token."""
        self.error: PyllamaError | None = None
        self.arrival_s = time.monotonic()
        self.start_s = self.end_s = 0.0
        """When its first batch began and its last one ended, ``time.monotonic()``."""
        self.abort_reason: str | None = None
        self._n_open = len(inputs)
        self._sums: dict[int, array[float]] = {}
        self._is_over = threading.Event()

    def wait(self, timeout_s: float | None) -> bool:
        """Return whether it is over, waiting for that."""
        return self._is_over.wait(timeout_s)

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for a slot: inputs are embedded without one."""
        return False

    def abort(self, reason: str) -> None:
        """Note that nobody waits for the rows any more; the first reason counts."""
        if self.abort_reason is None:
            self.abort_reason = reason

    # ---- the engine thread ----------------------------------------------------------------------

    def begin(self) -> None:
        """Note that a batch with a piece of it begins."""
        self.start_s = self.start_s or time.monotonic()

    def take(self, piece: Piece, data: bytearray | array[float], pooling: Pooling) -> None:
        """Take in what a batch gave for a piece of an input."""
        row = self.rows[piece.index]
        if isinstance(data, array):
            self._add(piece, data)
        elif pooling is Pooling.NONE or not row:
            row.frombytes(bytes(data))
        elif pooling is Pooling.LAST:
            self.rows[piece.index] = array("f", bytes(data))
        self._n_open -= piece.is_last

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing left to compute."""
        return self._n_open == 0

    def end(self, error: PyllamaError | None) -> None:
        """Wake up who waits; nothing changes after it."""
        self.error = error
        self.end_s = time.monotonic()
        self._is_over.set()

    def _add(self, piece: Piece, total: array[float]) -> None:
        earlier = self._sums.pop(piece.index, None)
        if earlier is not None:
            total = array("d", [a + b for a, b in zip(earlier, total, strict=True)])
        if piece.is_last:
            n_tokens = len(piece.tokens)
            self.rows[piece.index] = array("f", [value / n_tokens for value in total])
        else:
            self._sums[piece.index] = total


class Embedder:
    """The embeddings of one model. The context is made when it is first asked for.

    On the engine thread and not on one of its own: two computing threads of which each uses all
    processors wait for each other, and both take many times as long.

    Args:
        make: makes the context; called once, by the thread that first needs it.
        step_s: target duration of a step with running streams, seconds.
    """

    def __init__(self, make: Callable[[], EmbeddingContext], *, step_s: float) -> None:
        self._make: Callable[[], EmbeddingContext] | None = make
        self._step_s = step_s
        self._lock = threading.Lock()
        self._context: EmbeddingContext | None = None
        # The rest is the engine thread's.
        self._packer: Packer | None = None
        self._jobs: dict[Lot, EmbeddingJob] = {}
        self._token_s = 0.0

    # ---- any thread ---------------------------------------------------------------------------

    def open(self) -> EmbeddingContext:
        """Return the context, making it the first time; what it says of itself may be read.

        Raises:
            ModelLoadError: llama.cpp refuses it, or memory ran out.
            ModelClosed: the engine has ended.
        """
        # The first one takes a while; it stays for the next who asks where this one is interrupted.
        return self._context or interruptible(lambda _: self._open(), lambda _: None)

    def _open(self) -> EmbeddingContext:
        with self._lock:
            if self._make is None:
                raise ModelClosed("the model was closed")
            if self._context is None:
                self._context = self._make()
            return self._context

    @property
    def n_jobs(self) -> int:
        """Requests that are not answered."""
        return len(self._jobs)

    def interrupt(self) -> None:
        """Let the running batch fail, and those after it: for a stop."""
        context = self._context
        if context is not None:
            context.interrupt()

    # ---- the engine thread ----------------------------------------------------------------------

    @property
    def has_work(self) -> bool:
        """Whether any input is not computed."""
        return self._packer is not None and self._packer.has_work

    def start(self, job: EmbeddingJob) -> None:
        """Let a request's inputs take part; the context is there."""
        if self._packer is None:
            context = self.open()
            self._packer = Packer(
                n_seq_ids=context.n_seq_ids, n_batch=context.n_packed, can_cut=context.can_cut
            )
        self._jobs[job.lot] = job
        self._packer.add(job.lot)

    def abort(self, job: EmbeddingJob) -> bool:
        """Forget a request wherever it stands; return whether it was there."""
        if self._packer is None or self._jobs.pop(job.lot, None) is None:
            return False
        seq_id = self._packer.remove(job.lot)
        if seq_id is not None:
            self.open().forget([seq_id])
        return True

    def step(self, meter: Meter, *, is_shared: bool) -> list[Ended]:
        """Compute a batch, a short one where streams wait meanwhile.

        Returns:
            The requests that are over with it.
        """
        if self._packer is None:
            return []
        context = self.open()
        n_max = self._n_tokens() if is_shared else context.n_packed
        pieces = self._packer.pack(n_max)
        jobs = {piece.lot: self._jobs[piece.lot] for piece in pieces}
        for job in jobs.values():
            job.begin()
        start_s = time.perf_counter()
        try:
            rows = context.run(pieces)
        except (NativeError, Cancelled) as error:
            return self._fail(list(jobs.values()), error)
        duration_s = time.perf_counter() - start_s
        self._learn(sum(piece.count for piece in pieces), duration_s)
        for piece, data in rows:
            jobs[piece.lot].take(piece, data, context.pooling)
        over = [job for job in jobs.values() if job.is_complete]
        for job in over:
            del self._jobs[job.lot]
        meter.embedded(pieces, duration_s)
        return [Ended(job, reason="embedded") for job in over]

    def cut_short(self, job: EmbeddingJob) -> None:
        """Do nothing: a batch is short, and others have a part of it."""

    def close(self) -> None:
        """Free the context, and forget how to make another."""
        with self._lock:
            self._make = None
            context, self._context = self._context, None
        self._packer = None
        self._jobs.clear()
        if context is not None:
            context.close()

    def _n_tokens(self) -> int:
        """Return how long a batch may be beside streams, which keep half of the time."""
        if not self._token_s:
            return _FIRST_TOKENS
        return max(int(self._step_s / 2 / self._token_s), _MIN_TOKENS)

    def _learn(self, n_tokens: int, duration_s: float) -> None:
        if n_tokens >= _MIN_TOKENS or not self._token_s:
            token_s = duration_s / n_tokens
            self._token_s += (_ALPHA if self._token_s else 1.0) * (token_s - self._token_s)

    def _fail(self, jobs: list[EmbeddingJob], error: PyllamaError) -> list[Ended]:
        for job in jobs:
            self.abort(job)
        return [Ended(job, error) for job in jobs]
