"""The bytes of the RAM tier: saved sequence states, by entry. Used on the engine thread only."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from pyllama._ext.state import restore_sequence, save_sequence
from pyllama.errors import NativeError
from pyllama.sched import LoadState, SaveState, StateMove

if TYPE_CHECKING:
    from pyllama._ext.context import Context

logger = logging.getLogger(__name__)


class StateStore:
    """Moves sequence states between a context and host memory.

    No move raises: the tier saves work, and a prompt can always be computed instead.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._states: dict[int, bytearray] = {}

    @property
    def n_bytes(self) -> int:
        """Host memory that the states take."""
        return sum(map(len, self._states.values()))

    def move(self, operation: SaveState | LoadState) -> StateMove:
        """Save or load; blocks for the copy, without the GIL.

        Returns:
            The size of the state, or 0 where it could not be moved. After a failed load the
            sequence id is empty or as it was.
        """
        start_s = time.perf_counter()
        try:
            if isinstance(operation, SaveState):
                n_bytes = self._save(operation)
            else:
                n_bytes = self._load(operation)
        except (MemoryError, NativeError) as error:
            logger.warning("%s failed: %s", operation, error)
            n_bytes = 0
        return StateMove(operation, n_bytes, time.perf_counter() - start_s)

    def drop(self, entry_id: int) -> None:
        """Free a state, if there is one."""
        self._states.pop(entry_id, None)

    def _save(self, operation: SaveState) -> int:
        state = save_sequence(self._context, operation.seq_id)
        self._states[operation.entry_id] = state
        return len(state)

    def _load(self, operation: LoadState) -> int:
        state = self._states.get(operation.entry_id)
        if state is None:
            raise NativeError("llama_state_seq_set_data_ext", "no such state")
        return restore_sequence(self._context, operation.seq_id, state)
