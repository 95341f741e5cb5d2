"""Who guesses ahead: the scheduler's view of speculative decoding.

A draft is computed together with the sequence's last token, and each position is sampled as ever;
what was sampled differently ends the draft. So a draft changes how many tokens a step yields, and
never which.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pyllama.sched.sequence import Sequence


class Drafter(Protocol):
    """Guesses how sequences go on. Called by the scheduler, on its thread."""

    n_max: int
    """Most tokens of a draft; with 0 nobody asks for one."""

    def draft(self, sequence: Sequence, n_max: int) -> tuple[int, ...]:
        """Return the next tokens as they may turn out: at most ``n_max``, maybe none."""

    def accept(self, sequence: Sequence, n_accepted: int) -> None:
        """Hear how many tokens of the last draft were right."""

    def end(self, sequence: Sequence) -> None:
        """Forget a sequence, which runs no more. It may come back, and may be unknown."""


class NoDrafter:
    """Decoding token by token."""

    n_max = 0

    def draft(self, sequence: Sequence, n_max: int) -> tuple[int, ...]:  # noqa: ARG002
        """Guess nothing."""
        return ()

    def accept(self, sequence: Sequence, n_accepted: int) -> None:
        """Learn nothing."""

    def end(self, sequence: Sequence) -> None:
        """Remember nothing."""
