"""What the loaded context can hold: known once, after loading."""

from __future__ import annotations

from dataclasses import dataclass, field

STEP_S = 0.4
"""Target duration of a step that carries decoding sequences, seconds, where nobody says more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Facts about the context that the scheduler plans with."""

    n_slots: int
    """Sequences that may run at the same time."""
    n_seq_ids: int
    """Sequence ids, from 0 on. In a unified pool more than n_slots: the rest hold prefixes."""
    is_unified: bool
    """Whether all ids share one pool of cells; otherwise each has a stream of its own."""
    n_ctx_seq: int
    """KV cells that one sequence may use."""
    n_cells: int
    """KV cells in all: n_slots * n_ctx_seq in streams, n_ctx_seq in a unified pool."""
    n_batch: int
    """Most tokens of one batch."""
    n_ubatch: int
    """Most tokens of a batch that are computed at once; the rest follow in the same step."""
    n_scored: int = 32
    """Rows of logits that one batch may use to score prompts, beside one a sequence."""
    eog_tokens: frozenset[int] = field(default_factory=frozenset)
    """Tokens that end a generation."""
    can_trim: bool = True
    """Whether the tail of a sequence can be removed from memory.

    False for recurrent state and for sliding windows: there a prefix is reused only as a whole.
    """
