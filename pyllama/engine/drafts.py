"""Drafts for running sequences, looked up in what was said before."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyllama._ext.speculative import NgramLookup
    from pyllama.sched import Sequence


# A first draft is no longer than this: wrong tokens cost about as much as prompt tokens do.
_FIRST_DRAFT = 4


class _Lane:
    """A sequence's place in the lookup."""

    __slots__ = ("id", "n_drafted", "n_known", "n_max")

    def __init__(self, lane_id: int, n_known: int) -> None:
        self.id = lane_id
        # Tokens of the sequence that the lookup knows.
        self.n_known = n_known
        self.n_drafted = 0
        # The longest draft that the last ones make worth its cost.
        self.n_max = _FIRST_DRAFT


class NgramDrafter:
    """The scheduler's drafter: gives each running sequence a lane of the lookup.

    A draft that is right allows the next one to be twice as long, one that is not allows twice of
    what was right of it: text that is copied is soon read in long pieces, and text that only looks
    like a copy costs little.

    Args:
        lookup: has a lane for each sequence that may run; belongs to the engine thread from now on.
        n_max: most tokens of a draft, for which the context has rows of logits.
    """

    def __init__(self, lookup: NgramLookup, n_max: int) -> None:
        self._lookup = lookup
        self.n_max = n_max
        self._free = list(range(lookup.n_lanes))
        self._lanes: dict[Sequence, _Lane] = {}

    def draft(self, sequence: Sequence, n_max: int) -> tuple[int, ...]:
        """Look up how the sequence may go on."""
        lane = self._lanes.get(sequence)
        if lane is None:
            lane = self._begin(sequence)
        news = sequence.tokens[lane.n_known :]
        lane.n_known = len(sequence.tokens)
        draft = self._lookup.draft(lane.id, news, min(n_max, lane.n_max, self.n_max))
        lane.n_drafted = len(draft)
        return draft

    def accept(self, sequence: Sequence, n_accepted: int) -> None:
        """Let the lookup learn, and choose the length of the next draft."""
        lane = self._lanes[sequence]
        self._lookup.accept(lane.id, n_accepted)
        n_right = lane.n_max if n_accepted == lane.n_drafted else n_accepted
        lane.n_max = max(1, min(2 * n_right, self.n_max))

    def end(self, sequence: Sequence) -> None:
        """Free the sequence's lane."""
        lane = self._lanes.pop(sequence, None)
        if lane is not None:
            self._lookup.end(lane.id)
            self._free.append(lane.id)

    def _begin(self, sequence: Sequence) -> _Lane:
        # What stands for media is no text that could be said again.
        prompt = [token for token in sequence.tokens[: sequence.n_prompt] if token >= 0]
        lane = self._lanes[sequence] = _Lane(self._free.pop(), sequence.n_prompt)
        self._lookup.begin(lane.id, prompt)
        return lane
