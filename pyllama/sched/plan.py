"""What one step computes, and what came of it: plain data between scheduler and runner."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from pyllama.results import TokenLogprobs
    from pyllama.sched.sequence import Sequence


@dataclass(frozen=True, slots=True)
class RemoveCells:
    """Remove the cells of a sequence id from position ``start`` on."""

    seq_id: int
    start: int


@dataclass(frozen=True, slots=True)
class CopyCells:
    """Give a sequence id the first ``count`` cells of another, in place of all that it held."""

    source: int
    target: int
    count: int


@dataclass(frozen=True, slots=True)
class SaveState:
    """Copy the state of a sequence id to host memory, as this entry."""

    seq_id: int
    entry_id: int


@dataclass(frozen=True, slots=True)
class LoadState:
    """Give a sequence id the first ``n_tokens`` cells of an entry, in place of all that it held.

    The whole entry needs free cells for a moment, also those of its tokens that are not wanted.
    """

    seq_id: int
    entry_id: int
    n_tokens: int


@dataclass(frozen=True, slots=True)
class DropState:
    """Free the host memory of an entry, if it holds any."""

    entry_id: int


CellOp: TypeAlias = "RemoveCells | CopyCells | SaveState | LoadState | DropState"


# Not frozen, which would triple what making one takes: one is made for every token.
@dataclass(slots=True)
class Chunk:
    """Tokens ``[start, start + count)`` of one sequence; never changed."""

    sequence: Sequence
    seq_id: int
    start: int
    count: int
    wants_token: bool
    """Whether the sequence is complete with this chunk, so that its next token is sampled."""
    scored: range = range(0)
    """Positions whose logits say how likely the prompt's next token was."""
    draft: tuple[int, ...] = ()
    """Guesses of what follows, computed behind the sequence's own tokens; ``count`` holds both."""
    media: Any = None
    """What the tokens stand for, where they are no text; then this is the only chunk of its step,
    and may be larger than a batch."""

    @property
    def n_own(self) -> int:
        """Tokens of the sequence, without the draft."""
        return self.count - len(self.draft)


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """One step: memory operations first, in order, then one batch."""

    operations: tuple[CellOp, ...] = ()
    chunks: tuple[Chunk, ...] = ()

    @property
    def n_tokens(self) -> int:
        """Tokens of the batch."""
        return sum(chunk.count for chunk in self.chunks)

    @property
    def n_decoding(self) -> int:
        """Tokens of the batch that are no prompt: last sampled ones, and drafts behind them."""
        return sum(chunk.count for chunk in self.chunks if chunk.sequence.is_decoding)

    @property
    def media(self) -> Chunk | None:
        """The piece of media that this step computes, and nothing else."""
        first = self.chunks[0] if self.chunks else None
        return None if first is None or first.media is None else first

    def __bool__(self) -> bool:
        """Tell whether there is anything to do."""
        return bool(self.operations or self.chunks)


class StepStatus(enum.Enum):
    """How a decode ended."""

    OK = "ok"
    NO_KV_CELLS = "no_kv_cells"
    ABORTED = "aborted"
    STATE_LOST = "state_lost"
    """A state could not be loaded: the operations are done, nothing was computed."""


@dataclass(frozen=True, slots=True)
class StateMove:
    """How a save or a load ended."""

    operation: SaveState | LoadState
    n_bytes: int
    """Size of the state; 0 if the operation failed. A failed load leaves the id empty."""
    duration_s: float = 0.0

    @property
    def has_failed(self) -> bool:
        """Whether nothing was moved."""
        return self.n_bytes == 0


@dataclass(frozen=True, slots=True)
class StepResult:
    """What the runner reports of one plan."""

    status: StepStatus
    tokens: tuple[int, ...] = ()
    """One sampled token for each chunk that wanted one, in the order of the chunks."""
    duration_s: float = 0.0
    """Of the batch, without the memory operations."""
    logprobs: Mapping[Sequence, TokenLogprobs] = field(default_factory=dict)
    """How likely the sampled tokens were, of the sequences that asked for it."""
    prompt_logprobs: Mapping[Sequence, tuple[TokenLogprobs, ...]] = field(default_factory=dict)
    """How likely the prompt tokens after each chunk's ``scored`` positions were."""
    n_accepted: tuple[int, ...] = ()
    """For each of the tokens, how many of its chunk's draft were sampled before it; () for none."""
    moves: tuple[StateMove, ...] = ()
    """One for each save and each load of the plan, in order."""
    encode_s: float = 0.0
    """Part of the duration in which media were encoded; 0 where that was done before."""


@dataclass(slots=True)
class PlanBuilder:
    """The budgets of one scheduling pass.

    Args:
        n_tokens_left: tokens that the batch still takes.
        n_cells_left: KV cells that are still free.
        n_prompt: prompt tokens that the step's latency budget allows, about.
        n_scored_left: rows of logits that are left to score prompts with.
    """

    n_tokens_left: int
    n_cells_left: int
    n_prompt: int
    n_scored_left: int = 0
    chunks: list[Chunk] = field(default_factory=list)

    def add_decode(self, sequence: Sequence, seq_id: int) -> bool:
        """Add the last sampled token of a sequence; False where there is no room."""
        if self.n_tokens_left < 1 or self.n_cells_left < 1:
            return False
        self.chunks.append(Chunk(sequence, seq_id, sequence.n_past, 1, wants_token=True))
        self.n_tokens_left -= 1
        self.n_cells_left -= 1
        return True

    def add_prompt(self, sequence: Sequence, seq_id: int, n_wanted: int) -> int:
        """Add up to ``n_wanted`` pending tokens of a sequence; return how many went in."""
        count = min(
            n_wanted,
            sequence.n_ready,
            self.n_tokens_left,
            self.n_cells_left,
            sequence.n_scorable(self.n_scored_left),
        )
        if count < 1:
            return 0
        self._add(sequence, seq_id, count)
        return count

    def _add(self, sequence: Sequence, seq_id: int, count: int) -> None:
        is_complete = count == sequence.n_pending
        scored = sequence.scored_by(count)
        self.chunks.append(Chunk(sequence, seq_id, sequence.n_past, count, is_complete, scored))
        self.n_scored_left -= len(scored)
        self.n_tokens_left -= count
        self.n_cells_left -= count
