"""How far back what is held can be taken, and at what price: to go on from there differently."""

from __future__ import annotations

from typing import NamedTuple


class Rewind(NamedTuple):
    """What is left of held tokens when the later ones are not wanted."""

    n_tokens: int
    """As many as are wanted, or fewer."""
    cost: float = 0.0
    """What it costs beside computing the missing ones, in prompt tokens."""


def trimmed(n_held: int, n_wanted: int, *, can_trim: bool) -> Rewind:
    """Return what removing the tail leaves: all that is wanted, else nothing but to compute anew.

    Args:
        n_held: tokens that are held.
        n_wanted: how many of them are wanted, from the first on.
        can_trim: whether the memory can remove a tail.
    """
    return Rewind(n_wanted if can_trim or n_wanted == n_held else 0)
