"""The KV cells of pictures and sound: encoded once, computed wherever they are wanted."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyllama._ext.context import Context
    from pyllama.sched import Chunk

# Embeddings that are kept: those of a hundred pictures of a small model, of ten of a large one.
_MAX_BYTES = 128 << 20


class MediaCells:
    """Computes the media of plans; belongs to the engine thread.

    Args:
        context: where the cells are.
        max_bytes: what the embeddings of earlier media may take.
    """

    def __init__(self, context: Context, max_bytes: int = _MAX_BYTES) -> None:
        self._context = context
        self._max_bytes = max_bytes
        self._n_bytes = 0
        # By the token that stands for the content, the stalest first.
        self._known: OrderedDict[int, bytes] = OrderedDict()

    def compute(self, chunk: Chunk, position: int) -> tuple[int, float]:
        """Compute a chunk's cells, the first at a position. Releases the GIL.

        Returns:
            The status of the decode, and the time that encoding took, seconds; 0 where its
            embeddings were known.

        Raises:
            NativeError: it could not be encoded or decoded.
        """
        key = chunk.sequence.tokens[chunk.start]
        start_s = time.perf_counter()
        embeddings = self._known.get(key)
        encode_s = 0.0
        if embeddings is None:
            embeddings = chunk.media.encode()
            encode_s = time.perf_counter() - start_s
            self._remember(key, embeddings)
        else:
            self._known.move_to_end(key)
        status = chunk.media.decode(self._context, embeddings, position, chunk.seq_id)
        return status, encode_s

    def _remember(self, key: int, embeddings: bytes) -> None:
        self._known[key] = embeddings
        self._n_bytes += len(embeddings)
        while self._n_bytes > self._max_bytes:
            _, stalest = self._known.popitem(last=False)
            self._n_bytes -= len(stalest)
