"""A context that turns tokens into embeddings, over the weights that generate as well."""

from __future__ import annotations

import enum
from array import array
from typing import TYPE_CHECKING

from pyllama._ext.batch import Batch
from pyllama._ext.context import DECODE_ABORTED, DECODE_OK
from pyllama._ext.embeddings import add_rows, copy_pooled, copy_rows
from pyllama._ext.memory import Memory
from pyllama.errors import Cancelled, NativeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pyllama._ext.context import Context
    from pyllama.sched import Piece


class Pooling(enum.Enum):
    """What becomes of the rows of an input's tokens; the values are llama.cpp's."""

    NONE = 0
    MEAN = 1
    CLS = 2
    LAST = 3
    RANK = 4


class EmbeddingContext:
    """Computes pieces of inputs. Belongs to the engine thread, but for :meth:`interrupt`.

    Where attention is causal the rows are pooled here and not by llama.cpp, which pools within one
    micro-batch: an input may then be as long as the cells allow, and be computed in small pieces.

    Args:
        context: made for embeddings, its rows pooled only if attention is not causal.
        pooling: what is asked for.
        n_embd: width of an embedding.
        n_input_max: tokens of the longest input.
        n_packed: most tokens of several inputs in one batch.
    """

    def __init__(
        self, context: Context, pooling: Pooling, *, n_embd: int, n_input_max: int, n_packed: int
    ) -> None:
        self.pooling = pooling
        self.n_embd = n_embd
        self.n_input_max = n_input_max
        self.n_packed = n_packed
        self.can_cut = context.is_causal
        self.n_seq_ids = context.n_seq_max
        self._context = context
        self._memory = Memory(context) if _has_memory(context) else None
        self._batch = Batch(context.n_batch)

    @property
    def pools(self) -> bool:
        """Whether an input has one row, and not one for each token."""
        return self.pooling is not Pooling.NONE

    def run(self, pieces: Sequence[Piece]) -> list[tuple[Piece, bytearray | array[float]]]:
        """Compute a batch.

        Returns:
            What each piece gives, float32: rows of its tokens, or one row that stands for all of
            an input, be it whole or not; for a mean the sum of the piece's rows, as float64.

        Raises:
            NativeError: it could not be computed.
            Cancelled: it was interrupted. In either case the cells of these inputs are free again.
        """
        self._batch.clear()
        last_rows = [
            self._batch.add(list(piece.tokens), piece.start, piece.count, piece.seq_id, True)  # noqa: FBT003
            for piece in pieces
        ]
        self._batch.want_logits(0, len(self._batch))
        try:
            self._decode()
        except (NativeError, Cancelled):
            self.forget(piece.seq_id for piece in pieces)
            raise
        rows = [
            (piece, self._read(piece, row - piece.count + 1))
            for piece, row in zip(pieces, last_rows, strict=True)
        ]
        self.forget(piece.seq_id for piece in pieces if piece.is_last)
        return rows

    def forget(self, seq_ids: Iterable[int]) -> None:
        """Free the cells of sequences."""
        if self._memory is not None:
            for seq_id in seq_ids:
                self._memory.seq_rm(seq_id)

    def interrupt(self) -> None:
        """Make a running :meth:`run` fail soon, or else every later one; any thread may call it."""
        self._context.abort()

    def close(self) -> None:
        """Free the context."""
        self._context.close()

    def _decode(self) -> None:
        status = self._context.decode(self._batch)
        if status == DECODE_ABORTED:
            raise Cancelled("the model was closed before the answer was complete")
        if status != DECODE_OK:
            raise NativeError("llama_decode", "no KV cells")

    def _read(self, piece: Piece, row: int) -> bytearray | array[float]:
        if self.pooling is Pooling.NONE:
            return copy_rows(self._context, row, piece.count)
        if not self.can_cut:
            return copy_pooled(self._context, piece.seq_id)
        if self.pooling is Pooling.MEAN:
            total = array("d", bytes(8 * self.n_embd))
            add_rows(self._context, row, piece.count, total)
            return total
        if self.pooling is Pooling.CLS:
            return copy_rows(self._context, row, 1)
        return copy_rows(self._context, row + piece.count - 1, 1)


def _has_memory(context: Context) -> bool:
    try:
        Memory(context).pos_max(0)
    except NativeError:
        return False
    return True
