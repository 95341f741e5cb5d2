"""What an engine has done since it started: counted on its thread, read by anybody."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramSnapshot:
    """How often a value fell into each bucket."""

    bounds: tuple[float, ...]
    """Upper bounds of the buckets, inclusive, rising; the last bucket has none."""
    counts: tuple[int, ...]
    """Values in each bucket, one more than there are bounds."""
    total: float
    """Sum of the values."""


class Histogram:
    """Counts values by bucket. For one writing thread.

    Args:
        bounds: upper bounds of the buckets, rising.
    """

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect.bisect_left(self._bounds, value)] += 1
        self._total += value

    def snapshot(self) -> HistogramSnapshot:
        """Return the counts so far; any thread may call it."""
        return HistogramSnapshot(bounds=self._bounds, counts=tuple(self._counts), total=self._total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The state of an engine at one moment. Totals only ever grow; durations are in seconds."""

    prompt_tokens: int
    """Prompt tokens computed, that is without the cached ones."""
    cached_tokens: int
    """Prompt tokens whose KV cells were reused."""
    prompt_s: float
    """Time of the steps that computed prompts, and no other time."""
    predicted_tokens: int
    predicted_s: float
    """Time of the steps that only decoded."""
    n_steps: int
    """Batches computed."""
    n_sequence_steps: int
    """Sequences in those batches, added up."""
    n_prefix_hits: int
    """Sequences that started from cells of an earlier one."""
    n_started: int
    n_preempted: int
    n_drafted: int
    """Tokens guessed ahead by speculative decoding."""
    n_draft_accepted: int
    """Those of them that were right."""
    n_embedded: int = 0
    """Inputs that were turned into embeddings; their tokens are among the prompt tokens."""
    n_ram_entries: int
    """Prefixes in the RAM tier."""
    n_ram_bytes: int
    n_ram_hits: int
    """Prefixes that came back from there."""
    n_ram_tokens: int
    """Tokens of those prefixes, added up."""
    finished: dict[str, int] = field(default_factory=dict)
    """Ended requests by their reason; those that were aborted are ``cancelled``."""
    n_slots: int
    n_busy: int
    n_waiting: int
    n_cells: int
    """KV cells in all."""
    n_cells_used: int
    """KV cells that hold something, be it of a running sequence or of a cached prefix."""
    n_tokens_max: int
    """Tokens of the longest sequence so far."""
    n_encoded: int = 0
    """Pieces of media encoded; those whose embeddings were still known do not count."""
    encode_s: float = 0.0
    """Time of that: no stream gets a token meanwhile."""
    queue_s: HistogramSnapshot
    """Submitted to first scheduled."""
    ttft_s: HistogramSnapshot
    """Submitted to first token."""
    token_gap_s: HistogramSnapshot
    """From one token of a sequence to its next."""
    step_s: HistogramSnapshot
    """Duration of a step."""
