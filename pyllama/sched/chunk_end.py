"""Where a chunk of a prompt ends: on a boundary that the kernels like, close to what was wanted."""

from __future__ import annotations

# llama.cpp attends to cells in steps of 256, and its CPU kernel for attention takes rows by 64: a
# chunk that ends between two steps pays for the whole of the last one, and so does the next.
_GRIDS = (256, 64)
# What of the wanted tokens an even end may cost, and what it or a prompt's last tokens may exceed
# them by: to leave a few for another step costs that step's fixed price.
_LEAST_SHARE = 0.75
_MOST_SHARE = 1.125
# What an even end may exceed them by where there is none so near.
_UTMOST_SHARE = 1.2


def aligned_count(start: int, n_wanted: int, n_pending: int, n_ubatch: int) -> int:
    """Return how many tokens a chunk takes, about as many as wanted.

    Args:
        start: cells that the sequence has.
        n_wanted: tokens that the step's time allows, 1 or more.
        n_pending: tokens that are left of the prompt.
        n_ubatch: most tokens that are computed at once.
    """
    if n_pending <= n_wanted * _MOST_SHARE:
        return n_pending
    for grid in (n_ubatch, *_GRIDS):
        below = (start + n_wanted) // grid * grid - start
        for count in (below + grid, below):
            if n_wanted * _LEAST_SHARE <= count <= n_wanted * _MOST_SHARE:
                return count
    # The rows after the last 64 would cost as much as 64 of them: the tokens would seem dearer than
    # they are, the next chunk would be shorter, and so on.
    if below + grid <= n_wanted * _UTMOST_SHARE:
        return below + grid
    return below if 2 * below >= n_wanted else n_wanted
