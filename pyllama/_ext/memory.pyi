"""The KV cells of a context: remove, share and look at sequences.

Only the thread that uses the context may call these. Position ranges are ``[p0, p1)``; a negative
``p0`` is the start and a negative ``p1`` the end.
"""

from typing_extensions import disjoint_base

from pyllama._ext.context import Context

@disjoint_base
class Memory:
    """A view of a context's memory. It lives on when the context is closed, but refuses to work.

    Sequence ids are in [0, 256) where the cache is unified, so that prefixes can be kept under ids
    that no batch may use, and in [0, n_seq_max) elsewhere; others raise ``ValueError``. Every
    method raises ``RuntimeError`` once the context is closed.

    Source: ``llama_get_memory``.
    """

    def __new__(cls, context: Context) -> Memory: ...
    def clear(self, *, data: bool = True) -> None:
        """Forget all sequences; with ``data`` the buffers are zeroed too.

        Source: ``llama_memory_clear``.
        """

    def seq_rm(self, seq_id: int, p0: int = -1, p1: int = -1) -> bool:
        """Remove a sequence's cells in a range. Releases the GIL.

        Returns:
            False where this kind of memory cannot remove a part (recurrent models); then nothing
            was removed.

        Source: ``llama_memory_seq_rm``.
        """

    def seq_cp(self, source: int, target: int, p0: int = -1, p1: int = -1) -> None:
        """Give a sequence's cells to another one as well. Releases the GIL.

        A unified cache shares the cells; streams copy the whole of ``source``, which costs
        milliseconds, and drop what ``target`` held.

        Raises:
            ValueError: a part of a sequence between two streams, which llama.cpp cannot copy.

        Source: ``llama_memory_seq_cp``.
        """

    def seq_keep(self, seq_id: int) -> None:
        """Remove every sequence but this one; with streams, only from this one's stream.

        Source: ``llama_memory_seq_keep``.
        """

    def seq_add(self, seq_id: int, p0: int, p1: int, delta: int) -> None:
        """Move positions by ``delta``; the keys are rotated in the next decode.

        Raises:
            ValueError: this model's memory cannot shift.

        Source: ``llama_memory_seq_add``.
        """

    def pos_min(self, seq_id: int) -> int:
        """Return the smallest position that a sequence holds, -1 where it holds none.

        Source: ``llama_memory_seq_pos_min``.
        """

    def pos_max(self, seq_id: int) -> int:
        """Return the largest position that a sequence holds, -1 where it holds none.

        Source: ``llama_memory_seq_pos_max``.
        """

    @property
    def has_streams(self) -> bool:
        """Whether each sequence has its own range of cells, instead of one pool for all."""

    @property
    def can_shift(self) -> bool:
        """Whether :meth:`seq_add` works for this model.

        Source: ``llama_memory_can_shift``.
        """
