"""What the scheduler reports of a sequence; the engine hands it to the sequence's stream."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from pyllama.results import FinishReason, TokenLogprobs
    from pyllama.sched.sequence import Sequence


@dataclass(frozen=True, slots=True)
class Started:
    """The sequence got a slot; computing its prompt begins."""

    sequence: Sequence
    now_s: float
    n_cached: int
    """Prompt tokens whose KV cells the slot still held."""


class TokenSampled(NamedTuple):
    """The sequence grew by one token. A tuple, since there are so many."""

    sequence: Sequence
    now_s: float
    token: int
    logprobs: TokenLogprobs | None = None
    """How likely it was, where the request asked for it."""


@dataclass(frozen=True, slots=True)
class PromptScored:
    """The prompt is computed, and how likely it was is known; comes before the first token."""

    sequence: Sequence
    now_s: float
    logprobs: tuple[TokenLogprobs, ...]
    """One for each prompt token but the first."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A draft of the sequence was computed; the tokens that it yields are reported after it."""

    sequence: Sequence
    now_s: float
    n_drafted: int
    """Tokens of the draft."""
    n_accepted: int
    """Those of them that were sampled as well."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The sequence ended by itself; its slot is free."""

    sequence: Sequence
    now_s: float
    reason: FinishReason


Event: TypeAlias = "Started | PromptScored | TokenSampled | Verified | Finished"
