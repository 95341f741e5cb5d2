"""Embeddings without a model: a context, and what ``Llama.start_embed`` returns."""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pyllama.engine.embedding_context import EmbeddingContext, Pooling
from pyllama.errors import InvalidRequest
from pyllama.results import Embedding, Embeddings
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


class FakeEmbeddings:
    """Embeddings that are there after a while: a vector is the length of its input, and one.

    Attributes:
        options: what they were asked for with.
        is_closed: whether nobody waits for them.
    """

    def __init__(self, inputs: Sequence[Any], options: Mapping[str, Any], wait_s: float) -> None:
        self.inputs = inputs
        self.options = options
        self.is_closed = False
        self._due_s = time.monotonic() + wait_s

    @classmethod
    def of(
        cls, inputs: str | Sequence[Any], *, wait_s: float, param: str = "input", **options: Any
    ) -> FakeEmbeddings:
        """Take what ``Llama.start_embed`` takes; refuse what it refuses."""
        if not inputs:
            raise InvalidRequest(f"{param} must not be empty", param=param)
        if isinstance(inputs, str) or all(type(item) is int for item in inputs):
            inputs = [inputs]
        if not all(isinstance(item, (str, list)) and item for item in inputs):
            raise InvalidRequest(f"{param}[0] must be a text", param=f"{param}[0]")
        return cls(inputs, options, wait_s)

    @property
    def prompt_tokens(self) -> int:
        """One for each character."""
        return sum(map(len, self.inputs))

    def poll(self, timeout_s: float | None = None) -> bool:
        """Wait for them."""
        left_s = max(self._due_s - time.monotonic(), 0.0)
        time.sleep(left_s if timeout_s is None else min(left_s, timeout_s))
        return time.monotonic() >= self._due_s

    def result(self) -> Embeddings:
        """Return them."""
        return Embeddings(
            data=tuple(
                Embedding(rows=(array("f", [len(item), 1.0]),), n_tokens=len(item))
                for item in self.inputs
            ),
            prompt_tokens=self.prompt_tokens,
            queue_ms=1.0,
            compute_ms=2.0,
        )

    def __enter__(self) -> FakeEmbeddings:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_closed = True
