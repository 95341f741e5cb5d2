"""Executes a plan on the context: the only user of the extension's decode and sample calls."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from pyllama._ext.batch import Batch
from pyllama._ext.context import DECODE_ABORTED, DECODE_NO_KV_CELLS, DECODE_OK
from pyllama._ext.memory import Memory
from pyllama._ext.sampler import WorkerPool, sample_rows
from pyllama.engine.scoring import PromptScoring, drawn_logprobs
from pyllama.engine.state_store import StateStore
from pyllama.sched import (
    CopyCells,
    DropState,
    LoadState,
    RemoveCells,
    StateMove,
    StepResult,
    StepStatus,
)

if TYPE_CHECKING:
    from pyllama._ext.context import Context
    from pyllama.sched import BatchPlan, CellOp, Limits

_STATUS = {
    DECODE_OK: StepStatus.OK,
    DECODE_NO_KV_CELLS: StepStatus.NO_KV_CELLS,
    DECODE_ABORTED: StepStatus.ABORTED,
}


class Runner(Protocol):
    """What the engine needs of a model. Called on the engine thread, but for :meth:`interrupt`."""

    def run(self, plan: BatchPlan) -> StepResult:
        """Do the plan's memory operations, compute its batch, sample.

        After a load that failed nothing is computed, and the result says STATE_LOST.

        Raises:
            NativeError: the batch could not be computed; the operations are done all the same.
        """

    def interrupt(self) -> None:
        """Make a running :meth:`run` return early with ABORTED; any thread may call it."""

    def clear_interrupt(self) -> None:
        """Forget an earlier :meth:`interrupt`."""

    def cells(self) -> dict[int, int]:
        """Return how many KV cells each slot id holds, as the memory itself counts them."""


class LlamaRunner:
    """Runs plans on a llama.cpp context.

    Args:
        context: the context; this object is its only user from now on.
        limits: what the context can hold.
    """

    def __init__(self, context: Context, limits: Limits) -> None:
        self._context = context
        self._is_unified = limits.is_unified
        self._memory = Memory(context)
        self._store = StateStore(context)
        self._batch = Batch(context.n_batch)
        self._n_seq_ids = limits.n_seq_ids
        # While rows are sampled the threads that compute a batch have nothing to do.
        self._pool = WorkerPool(context.n_threads)

    def run(self, plan: BatchPlan) -> StepResult:
        """Do the plan's memory operations, compute its batch, sample."""
        moves = tuple(move for op in plan.operations if (move := self._apply(op)) is not None)
        if any(move.has_failed and isinstance(move.operation, LoadState) for move in moves):
            return StepResult(StepStatus.STATE_LOST, moves=moves)
        if not plan.chunks:
            return StepResult(StepStatus.OK, moves=moves)
        start_s = time.perf_counter()
        batch = self._batch
        batch.clear()
        rows: list[int] = []
        samplers = []
        scoring = PromptScoring(self._context, self._pool)
        for chunk in plan.chunks:
            sequence = chunk.sequence
            row = batch.add(
                sequence.tokens, chunk.start, chunk.count, chunk.seq_id, chunk.wants_token
            )
            scoring.add(chunk, batch, row)
            if chunk.wants_token:
                rows.append(row)
                samplers.append(sequence.request.sampler)
        status = _STATUS[self._context.decode(batch)]
        if status is not StepStatus.OK:
            return StepResult(status, (), time.perf_counter() - start_s, moves=moves)
        tokens = sample_rows(self._context, samplers, rows, self._pool)
        return StepResult(
            status,
            tuple(tokens),
            time.perf_counter() - start_s,
            drawn_logprobs(plan),
            scoring.result(),
            moves,
        )

    def _apply(self, operation: CellOp) -> StateMove | None:
        if isinstance(operation, RemoveCells):
            self._memory.seq_rm(operation.seq_id, operation.start)
        elif isinstance(operation, CopyCells):
            self._copy(operation)
        elif isinstance(operation, DropState):
            self._store.drop(operation.entry_id)
        else:
            move = self._store.move(operation)
            if isinstance(operation, LoadState):
                n_tokens = 0 if move.has_failed else operation.n_tokens
                self._memory.seq_rm(operation.seq_id, n_tokens)
            return move
        return None

    def _copy(self, operation: CopyCells) -> None:
        if self._is_unified:
            # The target shares the cells: nothing is copied.
            self._memory.seq_rm(operation.target)
            self._memory.seq_cp(operation.source, operation.target, 0, operation.count)
        else:
            # Between streams llama.cpp copies all or nothing.
            self._memory.seq_cp(operation.source, operation.target)
            self._memory.seq_rm(operation.target, operation.count)

    def interrupt(self) -> None:
        """Make a running decode return early."""
        self._context.abort()

    def clear_interrupt(self) -> None:
        """Forget an earlier interrupt."""
        self._context.clear_abort()

    def cells(self) -> dict[int, int]:
        """Return how many KV cells each slot id holds, as the memory itself counts them."""
        return {seq_id: self._memory.pos_max(seq_id) + 1 for seq_id in range(self._n_seq_ids)}
