"""Executes a plan on the context: the only user of the extension's decode and sample calls."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple, Protocol

from pyllama._ext.batch import Batch
from pyllama._ext.context import DECODE_ABORTED, DECODE_NO_KV_CELLS, DECODE_OK
from pyllama._ext.memory import Memory
from pyllama._ext.sampler import WorkerPool, sample_rows, sample_verify
from pyllama.engine.media import MediaCells
from pyllama.engine.positions import Positions
from pyllama.engine.scoring import PromptScoring, drawn_logprobs
from pyllama.engine.state_store import StateStore
from pyllama.engine.stream_copies import StreamCopies
from pyllama.sched import (
    CopyCells,
    DropState,
    LoadState,
    RemoveCells,
    SaveState,
    StateMove,
    StepResult,
    StepStatus,
)

if TYPE_CHECKING:
    from pyllama._ext.context import Context
    from pyllama._ext.sampler import Sampler
    from pyllama.sched import BatchPlan, CellOp, Chunk, Limits

_STATUS = {
    DECODE_OK: StepStatus.OK,
    DECODE_NO_KV_CELLS: StepStatus.NO_KV_CELLS,
    DECODE_ABORTED: StepStatus.ABORTED,
}


class _Row(NamedTuple):
    """A row of logits to sample from, and the draft whose rows follow it."""

    row: int
    sampler: Sampler
    draft: tuple[int, ...]


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
        self._copies = StreamCopies(context, self._memory)
        self._media = MediaCells(context)
        self._positions = Positions()
        self._batch = Batch(context.n_batch)
        self._n_seq_ids = limits.n_seq_ids
        # While rows are sampled the threads that compute a batch have nothing to do.
        self._pool = WorkerPool(context.n_threads)

    def run(self, plan: BatchPlan) -> StepResult:
        """Do the plan's memory operations, compute its batch, sample."""
        moves = tuple(move for op in plan.operations if (move := self._apply(op)) is not None)
        self._copies.forget()
        if any(move.has_failed and isinstance(move.operation, LoadState) for move in moves):
            return StepResult(StepStatus.STATE_LOST, moves=moves)
        if not plan.chunks:
            return StepResult(StepStatus.OK, moves=moves)
        if plan.media is not None:
            return self._run_media(plan.media, moves)
        start_s = time.perf_counter()
        batch, positions = self._batch, self._positions
        batch.clear()
        rows: list[_Row] = []
        scoring = PromptScoring(self._context, self._pool)
        for chunk in plan.chunks:
            sequence = chunk.sequence
            # What a chunk of text lies behind is all that its id holds.
            n_skipped = positions.skipped(chunk.seq_id) if positions else 0
            row = batch.add(
                sequence.tokens,
                chunk.start,
                chunk.n_own,
                chunk.seq_id,
                chunk.wants_token,
                n_skipped,
            )
            if chunk.draft:
                start = chunk.start + chunk.n_own - n_skipped
                batch.add_draft(chunk.draft, start, chunk.seq_id)
            scoring.add(chunk, batch, row)
            if chunk.wants_token:
                rows.append(_Row(row, sequence.request.sampler, chunk.draft))
        status = _STATUS[self._context.decode(batch)]
        if status is not StepStatus.OK:
            return StepResult(status, (), time.perf_counter() - start_s, moves=moves)
        sampled = self._sample(rows)
        return StepResult(
            status,
            tuple(token for _, token in sampled),
            time.perf_counter() - start_s,
            drawn_logprobs(plan),
            scoring.result(),
            tuple(n_accepted for n_accepted, _ in sampled),
            moves,
        )

    def _run_media(self, chunk: Chunk, moves: tuple[StateMove, ...]) -> StepResult:
        start_s = time.perf_counter()
        position = self._positions.of(chunk.seq_id, chunk.start)
        status, encode_s = self._media.compute(chunk, position)
        if status == DECODE_OK:
            n_pos = chunk.media.n_pos
            self._positions.add(chunk.seq_id, chunk.start, chunk.count, n_pos)
        duration_s = time.perf_counter() - start_s
        return StepResult(_STATUS[status], (), duration_s, moves=moves, encode_s=encode_s)

    def _sample(self, rows: list[_Row]) -> list[tuple[int, int]]:
        """Return for each row how many tokens of its draft were right, and the token after them."""
        plain = [row for row in rows if not row.draft]
        samplers = [row.sampler for row in plain]
        drawn = sample_rows(self._context, samplers, [row.row for row in plain], self._pool)
        tokens = iter(drawn)
        return [
            sample_verify(self._context, row.sampler, row.row, row.draft)
            if row.draft
            else (0, next(tokens))
            for row in rows
        ]

    def _apply(self, operation: CellOp) -> StateMove | None:
        if isinstance(operation, RemoveCells):
            self._copies.changed(operation.seq_id)
            start = self._positions.remove(operation.seq_id, operation.start)
            self._memory.seq_rm(operation.seq_id, start)
        elif isinstance(operation, CopyCells):
            self._copy(operation)
        elif isinstance(operation, DropState):
            self._positions.drop(operation.entry_id)
            self._store.drop(operation.entry_id)
        elif isinstance(operation, SaveState):
            self._positions.save(operation.seq_id, operation.entry_id)
            return self._store.move(operation)
        else:
            return self._load(operation)
        return None

    def _load(self, operation: LoadState) -> StateMove:
        move = self._store.move(operation)
        self._copies.changed(operation.seq_id)
        n_tokens = 0 if move.has_failed else operation.n_tokens
        n_pos = self._positions.load(operation.seq_id, operation.entry_id, n_tokens)
        self._memory.seq_rm(operation.seq_id, n_pos)
        return move

    def _copy(self, operation: CopyCells) -> None:
        source, target = operation.source, operation.target
        n_pos = self._positions.copy(source, target, operation.count)
        if self._is_unified:
            # The target shares the cells: nothing is copied.
            self._memory.seq_rm(target)
            self._memory.seq_cp(source, target, 0, n_pos)
        else:
            self._copies.copy(source, target, n_pos)

    def interrupt(self) -> None:
        """Make a running decode return early."""
        self._context.abort()

    def clear_interrupt(self) -> None:
        """Forget an earlier interrupt."""
        self._context.clear_abort()

    def cells(self) -> dict[int, int]:
        """Return how many KV cells each slot id holds, as the memory itself counts them."""
        return {
            seq_id: self._positions.n_tokens(seq_id, self._memory.pos_max(seq_id) + 1)
            for seq_id in range(self._n_seq_ids)
        }
