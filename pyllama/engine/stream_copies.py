"""Prefixes copied from one stream of KV cells to another."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pyllama._ext.backend import devices
from pyllama._ext.state import restore_sequence, save_sequence
from pyllama.errors import NativeError

if TYPE_CHECKING:
    from pyllama._ext.context import Context
    from pyllama._ext.memory import Memory

logger = logging.getLogger(__name__)


class StreamCopies:
    """Copies the beginnings of sequences; used on the engine thread only.

    llama.cpp copies a whole stream, used or not. On a GPU that is quick. In host memory it takes
    memory for all cells of the target, so there the used cells are read once, as a saved state is,
    and written to each target.

    Args:
        context: the context.
        memory: its memory, whose ids have streams of their own.
    """

    def __init__(self, context: Context, memory: Memory) -> None:
        self._context = context
        self._memory = memory
        self._by_state = all(device["kind"] == "cpu" for device in devices())
        # What was read of which id, as long as that is what the id holds.
        self._read: tuple[int, bytearray] | None = None

    def copy(self, source: int, target: int, n_pos: int) -> None:
        """Give an id the cells of another's first positions, and nothing else."""
        self.changed(target)
        if not (self._by_state and self._copy_state(source, target)):
            self._memory.seq_cp(source, target)
        self._memory.seq_rm(target, n_pos)

    def changed(self, seq_id: int) -> None:
        """Forget what was read of an id."""
        if self._read is not None and self._read[0] == seq_id:
            self._read = None

    def forget(self) -> None:
        """Forget what was read: a batch changes what ids hold, and the memory is wanted."""
        self._read = None

    def _copy_state(self, source: int, target: int) -> bool:
        try:
            if self._read is None or self._read[0] != source:
                self._read = (source, save_sequence(self._context, source))
            restore_sequence(self._context, target, self._read[1])
        except (MemoryError, NativeError) as error:
            # Never again: a whole copy is done later than a state is read.
            logger.warning("copying cells by their state failed: %s", error)
            self._by_state = False
            self._read = None
            return False
        return True
