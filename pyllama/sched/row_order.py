"""In which order a step's chunks go into its batch: it decides which are computed together."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyllama.sched.plan import Chunk

_SEQ_ID = operator.attrgetter("seq_id")
# A chunk of this share of a ubatch fills the kernels well enough by itself.
_LONG_SHARE = 8


def in_row_order(chunks: Iterable[Chunk], n_ubatch: int) -> tuple[Chunk, ...]:
    """Return the chunks in an order in which a long one is computed alone.

    Where each sequence has a stream of its own, llama.cpp computes rows of consecutive, rising
    sequence ids together and lets each of them attend to as many cells as the longest has. Short
    chunks gain from being batched, for they share one pass over the weights. A long one does not,
    and those batched with it pay for its depth: so it stands before those with a lower id, and
    after those with a higher one, where nobody joins it.
    """
    groups: list[list[Chunk]] = [[]]
    for chunk in sorted(chunks, key=_SEQ_ID):
        if chunk.count * _LONG_SHARE >= n_ubatch:
            groups += [chunk], []
        else:
            groups[-1].append(chunk)
    return tuple(chunk for group in reversed(groups) for chunk in group)
