"""Long calls in which no other thread runs: one at a time, with a moment for others before each."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pyllama.interruption import checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

MANY = 50_000
"""Values of a body from which on a call that goes through all of them counts as long."""

_LEVELS = 5
_LOOK_S = 0.1
# Enough for a probe to be read and answered between two long calls.
_MOMENT_S = 0.02
_TURN = threading.Lock()


@contextmanager
def turn(*, is_long: bool) -> Iterator[None]:
    """Wait until no other thread is in a long call; a short one waits for nothing."""
    if not is_long:
        yield
        return
    while not _TURN.acquire(timeout=_LOOK_S):
        checkpoint()
    try:
        time.sleep(_MOMENT_S)
        yield
    finally:
        _TURN.release()


def has_many(value: Any) -> bool:
    """Return whether there are many values in the upper levels of one, which schemas look at."""
    n_values, level = 0, [value]
    for _ in range(_LEVELS):
        level = [
            child
            for parent in level
            if isinstance(parent, (dict, list))
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        n_values += len(level)
        if n_values >= MANY:
            return True
    return False
