"""Which inputs of which requests are embedded together: no KV cache, no order to keep but fairness.

A request's inputs take turns with those of the others, so that one request with a thousand inputs
does not hold up one with a single one.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Lot:
    """The inputs of one request, and how many of them were handed out.

    Args:
        inputs: token ids of each, none of them empty.
    """

    __slots__ = ("inputs", "n_taken")

    def __init__(self, inputs: Sequence[tuple[int, ...]]) -> None:
        self.inputs = inputs
        self.n_taken = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What one batch has of one input."""

    lot: Lot
    index: int
    """Which of the lot's inputs."""
    start: int
    count: int
    seq_id: int

    @property
    def tokens(self) -> tuple[int, ...]:
        """All tokens of the input."""
        return self.lot.inputs[self.index]

    @property
    def is_last(self) -> bool:
        """Whether the input is whole after it."""
        return self.start + self.count == len(self.tokens)


class Packer:
    """Fills batches with inputs.

    At most one input is in pieces at any time, so the cells that a batch needs are never more than
    those of the longest input and of one batch.

    Args:
        n_seq_ids: inputs that a batch may hold.
        n_batch: tokens that a batch may hold.
        can_cut: whether an input may be spread over several batches. One that may not is alone in
            its batch where it is longer than that.
    """

    def __init__(self, *, n_seq_ids: int, n_batch: int, can_cut: bool) -> None:
        self._n_seq_ids = n_seq_ids
        self._n_batch = n_batch
        self._can_cut = can_cut
        self._lots: deque[Lot] = deque()
        self._rest: Piece | None = None

    @property
    def has_work(self) -> bool:
        """Whether any input is not computed."""
        return self._rest is not None or bool(self._lots)

    def add(self, lot: Lot) -> None:
        """Let the inputs of a request take part."""
        if lot.inputs:
            self._lots.append(lot)

    def remove(self, lot: Lot) -> int | None:
        """Forget the inputs of a request; return the sequence id of the one that was begun."""
        if lot in self._lots:
            self._lots.remove(lot)
        if self._rest is None or self._rest.lot is not lot:
            return None
        seq_id, self._rest = self._rest.seq_id, None
        return seq_id

    def pack(self, n_max: int) -> list[Piece]:
        """Return the next batch, of about ``n_max`` tokens at most."""
        room = max(min(n_max, self._n_batch), 1)
        pieces: list[Piece] = []
        if self._rest is not None:
            pieces.append(self._piece(self._rest, room))
            room -= pieces[0].count
        while self._lots and room > 0 and len(pieces) < self._n_seq_ids:
            lot = self._lots[0]
            n_tokens = len(lot.inputs[lot.n_taken])
            if pieces and n_tokens > room and not self._is_to_be_cut(n_tokens, n_max):
                break
            self._lots.popleft()
            whole = Piece(
                lot=lot, index=lot.n_taken, start=0, count=0, seq_id=self._free_id(pieces)
            )
            pieces.append(self._piece(whole, room))
            room -= pieces[-1].count
            lot.n_taken += 1
            if lot.n_taken < len(lot.inputs):
                self._lots.append(lot)
        self._rest = next((piece for piece in pieces if not piece.is_last), None)
        return pieces

    def _is_to_be_cut(self, n_tokens: int, n_max: int) -> bool:
        """Return whether an input does not fit into a batch of its own either."""
        return self._can_cut and n_tokens > min(n_max, self._n_batch)

    def _piece(self, before: Piece, room: int) -> Piece:
        """Return what follows a piece of an input."""
        start = before.start + before.count
        n_left = len(before.tokens) - start
        count = min(n_left, room) if self._can_cut else n_left
        return Piece(
            lot=before.lot, index=before.index, start=start, count=count, seq_id=before.seq_id
        )

    def _free_id(self, pieces: list[Piece]) -> int:
        # Only the first piece can have an id that is not its place.
        first = pieces[0].seq_id if pieces else None
        place = len(pieces)
        if place == first:
            return 0
        return place
