"""At which position of the memory each token of a sequence id sits.

The scheduler counts tokens, and llama.cpp positions. They are the same but behind pieces of media
that take fewer positions than tokens (M-RoPE): the tokens of a picture lie in two dimensions there,
and the text after it goes on from its longer side.
"""

from __future__ import annotations

from typing import NamedTuple


class _Piece(NamedTuple):
    """Tokens ``[start, end)`` of a sequence, which are a piece of media."""

    start: int
    end: int
    n_skipped_before: int
    """How many more tokens than positions lie before it."""
    n_skipped: int
    """How many more tokens than positions lie before its end."""


class Positions:
    """The pieces of media that the memory and the saved states hold.

    It follows the memory: each operation there is told here, and answered by the position that
    llama.cpp is to be told. Used on the engine thread only. False while there is nothing to know.
    """

    def __init__(self) -> None:
        self._held: dict[int, tuple[_Piece, ...]] = {}
        # By entry of the RAM tier.
        self._saved: dict[int, tuple[_Piece, ...]] = {}

    def __bool__(self) -> bool:
        """Tell whether any sequence id holds media."""
        return bool(self._held)

    def skipped(self, seq_id: int) -> int:
        """Return how many more tokens than positions a sequence id holds."""
        pieces = self._held.get(seq_id)
        return pieces[-1].n_skipped if pieces else 0

    def of(self, seq_id: int, index: int) -> int:
        """Return the position of a token that a sequence id holds, or of the one after the last."""
        return _position(self._held.get(seq_id, ()), index)

    def n_tokens(self, seq_id: int, n_pos: int) -> int:
        """Return how many tokens a sequence id holds whose last position is ``n_pos`` - 1.

        A piece counts as a whole: in two dimensions all of it may sit at its first position.
        """
        for piece in reversed(self._held.get(seq_id, ())):
            if n_pos > piece.end - piece.n_skipped:
                return n_pos + piece.n_skipped
            if n_pos > piece.start - piece.n_skipped_before:
                return piece.end
        return n_pos

    def add(self, seq_id: int, start: int, n_tokens: int, n_pos: int) -> None:
        """Take in a piece of media behind all that a sequence id holds."""
        n_before = self.skipped(seq_id)
        piece = _Piece(start, start + n_tokens, n_before, n_before + n_tokens - n_pos)
        self._held[seq_id] = (*self._held.get(seq_id, ()), piece)

    def remove(self, seq_id: int, start: int) -> int:
        """Forget what lies behind the first ``start`` tokens; return the position there."""
        position = self.of(seq_id, start)
        self._put(seq_id, _first(self._held.get(seq_id, ()), start))
        return position

    def copy(self, source: int, target: int, count: int) -> int:
        """Give an id the first tokens of another for its own; return the positions they take."""
        self._put(target, _first(self._held.get(source, ()), count))
        return self.of(target, count)

    def save(self, seq_id: int, entry_id: int) -> None:
        """Keep what an id holds as an entry."""
        if pieces := self._held.get(seq_id):
            self._saved[entry_id] = pieces

    def load(self, seq_id: int, entry_id: int, count: int) -> int:
        """Give an id the first tokens of an entry for its own; return the positions they take."""
        self._put(seq_id, _first(self._saved.get(entry_id, ()), count))
        return self.of(seq_id, count)

    def drop(self, entry_id: int) -> None:
        """Forget an entry, if it is known."""
        self._saved.pop(entry_id, None)

    def _put(self, seq_id: int, pieces: tuple[_Piece, ...]) -> None:
        if pieces:
            self._held[seq_id] = pieces
        else:
            self._held.pop(seq_id, None)


def _first(pieces: tuple[_Piece, ...], count: int) -> tuple[_Piece, ...]:
    """Return the pieces among the first ``count`` tokens."""
    return tuple(piece for piece in pieces if piece.end <= count)


def _position(pieces: tuple[_Piece, ...], index: int) -> int:
    for piece in reversed(pieces):
        if index >= piece.end:
            return index - piece.n_skipped
        if index > piece.start:
            raise AssertionError(f"token {index} is inside of the media {piece}")
    return index
