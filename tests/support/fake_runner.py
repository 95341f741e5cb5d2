"""A runner without a model: llama.cpp's memory as plain lists, every rule of it checked."""

from __future__ import annotations

import threading
from collections.abc import Sequence as TokenSequence

from pyllama.results import TokenLogprobs
from pyllama.sched import (
    BatchPlan,
    CellOp,
    Chunk,
    CopyCells,
    DropState,
    Limits,
    LoadState,
    RemoveCells,
    SaveState,
    StateMove,
    StepResult,
    StepStatus,
)


def next_token(tokens: TokenSequence[int], n_vocab: int = 50) -> int:
    """Return the token that the fake model says next: a function of all that came before."""
    return hash(tuple(tokens)) % n_vocab


def continuation(prompt: TokenSequence[int], max_tokens: int, limits: Limits) -> list[int]:
    """Return what a request must get, whatever else runs: the answer computed alone."""
    tokens = list(prompt)
    while len(tokens) - len(prompt) < max_tokens and len(tokens) < limits.n_ctx_seq:
        token = next_token(tokens)
        if token in limits.eog_tokens:
            break
        tokens.append(token)
    return tokens[len(prompt) :]


def score(chunk: Chunk) -> tuple[TokenLogprobs, ...]:
    """Return how likely the fake model finds the tokens after a chunk's scored positions."""
    assert chunk.start <= chunk.scored.start < chunk.scored.stop <= chunk.start + chunk.count
    tokens = chunk.sequence.tokens
    return tuple(
        TokenLogprobs(token=tokens[position + 1], logprob=-1.0 - position)
        for position in chunk.scored
    )


def state_size(tokens: TokenSequence[int]) -> int:
    """Return the bytes of a saved state: ten a token, and a head."""
    return 10 * len(tokens) + 4


class Cell:
    """One KV cell: room for one token, held by one sequence id or by several."""

    def __init__(self, token: int) -> None:
        self.token = token


class Memory:
    """KV cells as llama.cpp keeps them: for each sequence id the cells at positions 0, 1, ..."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._cells: dict[int, list[Cell]] = {seq_id: [] for seq_id in range(limits.n_seq_ids)}
        # What a saved state holds, by entry.
        self.states: dict[int, list[int]] = {}

    def tokens(self, seq_id: int) -> list[int]:
        """Return what a sequence id holds."""
        return [cell.token for cell in self._cells[seq_id]]

    def n_cells(self) -> dict[int, int]:
        """Return how many cells each sequence id holds."""
        return {seq_id: len(cells) for seq_id, cells in self._cells.items()}

    def spoil(self, seq_id: int) -> None:
        """Hold a cell that nobody asked for."""
        self._cells[seq_id].append(Cell(77))

    def remove(self, seq_id: int, start: int) -> None:
        """Remove the cells from a position on."""
        cells = self._cells[seq_id]
        # State that cannot be trimmed is kept or removed as a whole.
        assert self._limits.can_trim or start == 0 or start >= len(cells)
        del cells[start:]

    def copy(self, source: int, target: int, count: int) -> None:
        """Share cells in a unified pool, copy them between streams."""
        cells = self._cells[source]
        assert source != target
        assert count <= len(cells), "cells that the source does not hold"
        assert self._limits.can_trim or count == len(cells)
        shares = self._limits.is_unified
        self._cells[target] = [cell if shares else Cell(cell.token) for cell in cells[:count]]

    def save(self, seq_id: int, entry_id: int) -> int:
        """Keep what a sequence id holds; return a size."""
        assert entry_id not in self.states, "an entry saved twice"
        self.states[entry_id] = self.tokens(seq_id)
        return state_size(self.states[entry_id])

    def load(self, seq_id: int, entry_id: int, n_tokens: int) -> int:
        """Replace what a sequence id holds; return the size."""
        state = self.states[entry_id]
        assert n_tokens <= len(state)
        assert self._limits.can_trim or n_tokens == len(state)
        # The whole state needs cells before its tail is removed.
        self._cells[seq_id] = [Cell(token) for token in state]
        self._check_room(seq_id)
        del self._cells[seq_id][n_tokens:]
        return state_size(state)

    def clear(self, seq_id: int) -> None:
        """Remove all cells of an id, as a load does before it fails."""
        self._cells[seq_id] = []

    def _check_room(self, seq_id: int) -> None:
        assert len(self._cells[seq_id]) <= self._limits.n_ctx_seq
        n_used = len({id(cell) for cells in self._cells.values() for cell in cells})
        assert n_used <= self._limits.n_cells

    def add(self, chunk: Chunk, count: int) -> None:
        """Compute the first ``count`` tokens of a chunk, its draft included."""
        tokens = [*chunk.sequence.tokens[: chunk.start + chunk.n_own], *chunk.draft]
        assert self.tokens(chunk.seq_id) == tokens[: chunk.start], "cells of another text"
        cells = self._cells[chunk.seq_id]
        cells += [Cell(token) for token in tokens[chunk.start : chunk.start + count]]
        self._check_room(chunk.seq_id)


class FakeRunner:
    """Runs plans as the real one does, from any thread that owns it.

    ``answers`` says how the next steps end: a status, or an exception to raise; OK when it runs
    out. A step that is not OK has computed the first ``n_computed`` tokens of its batch before.
    ``save_answers`` and ``load_answers`` say in the same way whether the next ones work.
    With ``gate`` set to an unset event every step waits for it, or for an interrupt.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.memory = Memory(limits)
        self.answers: list[StepStatus | Exception] = []
        self.save_answers: list[bool] = []
        self.load_answers: list[bool] = []
        self.n_computed = 0
        self.gate = threading.Event()
        self.gate.set()
        self.has_step = threading.Event()
        self.n_interrupts = 0
        self.n_steps = 0
        # Duration of each save and load, seconds.
        self.move_s = 0.001
        self._lost: set[int] = set()
        self._is_interrupted = threading.Event()

    def run(self, plan: BatchPlan) -> StepResult:
        self._lost.clear()
        moves = tuple(move for op in plan.operations if (move := self._apply(op)) is not None)
        if any(move.has_failed and isinstance(move.operation, LoadState) for move in moves):
            return StepResult(StepStatus.STATE_LOST, moves=moves)
        if not plan.chunks:
            return StepResult(StepStatus.OK, moves=moves)
        self.n_steps += 1
        self._check(plan)
        answer = self.answers.pop(0) if self.answers else StepStatus.OK
        self.has_step.set()
        if not self._wait():
            answer = StepStatus.ABORTED
        if answer is StepStatus.OK:
            scores = {chunk.sequence: score(chunk) for chunk in plan.chunks if chunk.scored}
            n_accepted, tokens = self._compute(plan)
            return StepResult(
                answer, tokens, 0.01, prompt_logprobs=scores, n_accepted=n_accepted, moves=moves
            )
        self._compute_some(plan, self.n_computed)
        if isinstance(answer, Exception):
            raise answer
        return StepResult(answer, moves=moves)

    def interrupt(self) -> None:
        self.n_interrupts += 1
        self._is_interrupted.set()

    def clear_interrupt(self) -> None:
        self._is_interrupted.clear()

    def cells(self) -> dict[int, int]:
        return self.memory.n_cells()

    def _apply(self, operation: CellOp) -> StateMove | None:
        if isinstance(operation, RemoveCells):
            self.memory.remove(operation.seq_id, operation.start)
        elif isinstance(operation, CopyCells):
            self._copy(operation)
        elif isinstance(operation, DropState):
            self.memory.states.pop(operation.entry_id, None)
        else:
            return self._move(operation)
        return None

    def _copy(self, operation: CopyCells) -> None:
        if operation.source in self._lost:
            # llama.cpp copies what there is: nothing.
            self.memory.clear(operation.target)
            self._lost.add(operation.target)
        else:
            self.memory.copy(operation.source, operation.target, operation.count)
            self._lost.discard(operation.target)

    def _move(self, operation: SaveState | LoadState) -> StateMove:
        is_save = isinstance(operation, SaveState)
        answers = self.save_answers if is_save else self.load_answers
        works = answers.pop(0) if answers else True
        n_bytes = 0
        if isinstance(operation, SaveState):
            if works:
                n_bytes = self.memory.save(operation.seq_id, operation.entry_id)
        elif works and operation.entry_id in self.memory.states:
            args = (operation.seq_id, operation.entry_id, operation.n_tokens)
            n_bytes = self.memory.load(*args)
            self._lost.discard(operation.seq_id)
        else:
            self.memory.clear(operation.seq_id)
            self._lost.add(operation.seq_id)
        return StateMove(operation, n_bytes, self.move_s)

    def _wait(self) -> bool:
        """Wait for the gate; return False on an interrupt."""
        while not self.gate.wait(0.001):
            if self._is_interrupted.is_set():
                return False
        return True

    def _check(self, plan: BatchPlan) -> None:
        seq_ids = [chunk.seq_id for chunk in plan.chunks]
        assert len(seq_ids) == len(set(seq_ids)), "an id used twice"
        assert plan.media is not None or plan.n_tokens <= self.limits.n_batch
        assert sum(len(chunk.scored) for chunk in plan.chunks) <= self.limits.n_scored
        for chunk in plan.chunks:
            assert chunk.count >= 1
            self._check_media(plan, chunk)
            assert not chunk.draft or chunk.wants_token
            end = chunk.start + chunk.n_own
            assert end <= len(chunk.sequence.tokens)
            assert chunk.wants_token == (end == len(chunk.sequence.tokens))

    def _check_media(self, plan: BatchPlan, chunk: Chunk) -> None:
        """Media are computed whole and alone, and nothing else is where they are due."""
        spans = chunk.sequence.request.media
        if chunk.media is None:
            end = chunk.start + chunk.count
            assert all(span.end <= chunk.start or end <= span.start for span in spans)
        else:
            (span,) = [span for span in spans if span.content is chunk.media]
            assert (chunk.start, chunk.count) == (span.start, span.count)
            assert len(plan.chunks) == 1

    def _compute(self, plan: BatchPlan) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return how much of each draft is right, and the token after it."""
        for chunk in plan.chunks:
            self.memory.add(chunk, chunk.count)
        sampled = [self._sample(chunk) for chunk in plan.chunks if chunk.wants_token]
        return tuple(n for n, _ in sampled), tuple(token for _, token in sampled)

    def _sample(self, chunk: Chunk) -> tuple[int, int]:
        held = self.memory.tokens(chunk.seq_id)
        for n_right, guess in enumerate(chunk.draft):
            token = next_token(held[: chunk.start + chunk.n_own + n_right])
            if token != guess:
                return n_right, token
        return len(chunk.draft), next_token(held)

    def _compute_some(self, plan: BatchPlan, n_tokens: int) -> None:
        for chunk in plan.chunks:
            count = min(chunk.count, n_tokens)
            self.memory.add(chunk, count)
            n_tokens -= count
