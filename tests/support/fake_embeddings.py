"""An embedding context without a model, in which an input's vector is made of its tokens."""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable, Sequence
from typing import Any

from pyllama.engine.embedding_context import EmbeddingContext, Pooling
from pyllama.sched import Piece


class FakeEmbeddingContext(EmbeddingContext):
    """Gives each token the row (its id, 1), and pools by the mean.

    Attributes:
        batches: what was computed.
        used: sequences that hold cells.
        gate: cleared, the next batch waits for it.
        answers: what the next batches raise instead.
    """

    def __init__(self, *, can_cut: bool = True) -> None:
        self.pooling = Pooling.MEAN
        self.n_embd = 2
        self.n_input_max = 100
        self.n_packed = 32
        self.n_seq_ids = 4
        self.can_cut = can_cut
        self.batches: list[list[Piece]] = []
        self.used: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.answers: list[Exception] = []
        self.is_closed = False

    def run(self, pieces: Sequence[Piece]) -> list[tuple[Piece, bytearray | array[float]]]:
        self.batches.append(list(pieces))
        self.gate.wait(10)
        self.used |= {piece.seq_id for piece in pieces}
        if self.answers:
            self.forget(piece.seq_id for piece in pieces)
            raise self.answers.pop()
        self.forget(piece.seq_id for piece in pieces if piece.is_last)
        return [(piece, self._sum(piece)) for piece in pieces]

    def _sum(self, piece: Piece) -> Any:
        tokens = piece.tokens[piece.start : piece.start + piece.count]
        return array("d", [sum(tokens), piece.count])

    def forget(self, seq_ids: Iterable[int]) -> None:
        self.used -= set(seq_ids)

    def interrupt(self) -> None:
        self.gate.set()

    def close(self) -> None:
        self.is_closed = True
