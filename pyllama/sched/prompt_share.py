"""Which prompts a step computes, and how much of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyllama.sched.budget import MIN_CHUNK
from pyllama.sched.chunk_end import aligned_count
from pyllama.sched.sequence import slot_of

if TYPE_CHECKING:
    from pyllama.sched.plan import PlanBuilder
    from pyllama.sched.sequence import Sequence


def add_prompts(builder: PlanBuilder, prompts: list[Sequence], n_ubatch: int) -> None:
    """Half of the room to the oldest prompt, the rest to those that it completes, then to it.

    The first half keeps a long prompt from starving, the second lets short ones pass it. Two
    long ones do not share a step: each would be computed in chunks half as efficient, and the
    first would come out later without the second coming out earlier.

    They always advance: they were admitted with all their cells, and give them up whole.

    Args:
        builder: the step, with its budget of prompt tokens.
        prompts: sequences with text to be computed, the oldest first.
        n_ubatch: most tokens that are computed at once.
    """
    if not prompts:
        return
    oldest, *others = prompts
    n_left = builder.n_prompt
    n_spare = n_left - min(n_left - n_left // 2, oldest.n_pending)
    for sequence in sorted(others, key=lambda sequence: sequence.n_pending):
        if sequence.n_pending > n_spare:
            break
        n_added = builder.add_prompt(sequence, slot_of(sequence).id, sequence.n_pending)
        n_spare -= n_added
        n_left -= n_added
    done = {chunk.sequence for chunk in builder.chunks}
    for sequence in prompts:
        if sequence in done:
            continue
        if sequence is not oldest and n_left < MIN_CHUNK:
            break
        n_pending = sequence.n_pending
        count = aligned_count(sequence.n_past, n_left, n_pending, n_ubatch)
        n_added = builder.add_prompt(sequence, slot_of(sequence).id, count)
        if n_added < n_pending:
            # What an even end leaves is no room for another.
            break
        n_left -= n_added
