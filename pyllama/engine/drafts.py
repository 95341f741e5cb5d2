"""Drafts for running sequences, looked up in what was said before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyllama._ext.speculative import NgramLookup
    from pyllama.sched import Sequence


class _Lane:
    """A sequence's place in the lookup, and how many of its tokens that knows."""

    __slots__ = ("id", "n_known")

    def __init__(self, lane_id: int, n_known: int) -> None:
        self.id = lane_id
        self.n_known = n_known


class NgramDrafter:
    """The scheduler's drafter: gives each running sequence a lane of the lookup.

    Args:
        lookup: has a lane for each sequence that may run; belongs to the engine thread from now on.
        n_max: most tokens of a draft, for which the context has rows of logits.
    """

    def __init__(self, lookup: NgramLookup, n_max: int) -> None:
        self._lookup = lookup
        self._n_max = n_max
        self._free = list(range(lookup.n_lanes))
        self._lanes: dict[Sequence, _Lane] = {}

    def draft(self, sequence: Sequence, n_max: int) -> tuple[int, ...]:
        """Look up how the sequence may go on."""
        lane = self._lanes.get(sequence)
        if lane is None:
            lane = self._begin(sequence)
        news = sequence.tokens[lane.n_known :]
        lane.n_known = len(sequence.tokens)
        return self._lookup.draft(lane.id, news, min(n_max, self._n_max))

    def accept(self, sequence: Sequence, n_accepted: int) -> None:
        """Let the lookup learn."""
        self._lookup.accept(self._lanes[sequence].id, n_accepted)

    def end(self, sequence: Sequence) -> None:
        """Free the sequence's lane."""
        lane = self._lanes.pop(sequence, None)
        if lane is not None:
            self._lookup.end(lane.id)
            self._free.append(lane.id)

    def _begin(self, sequence: Sequence) -> _Lane:
        prompt = sequence.tokens[: sequence.n_prompt]
        lane = self._lanes[sequence] = _Lane(self._free.pop(), len(prompt))
        self._lookup.begin(lane.id, prompt)
        return lane
