"""The drain that a signal handler begins, in a thread that waits for it."""

from __future__ import annotations

import logging
import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .host import Host

_log = logging.getLogger("pyllama.wsgi")

_MARGIN_S = 3.0


def drain_deadline_s(graceful_timeout_s: float) -> float:
    """Return how long the engine may drain, so that what it aborts then still ends well-formed.

    The server kills its worker after the graceful timeout. Some seconds before that the last
    streams are told that they end, and the model is freed.
    """
    return max(graceful_timeout_s - _MARGIN_S, graceful_timeout_s / 2)


class Drainer:
    """Drains a host as soon as it is told to.

    The thread exists from the start: a signal handler runs in the middle of anything, and must
    take no lock. ``SimpleQueue.put`` is reentrant; ``Event.set`` and ``Thread.start`` are not.

    Args:
        host: what is drained.
        timeout_s: seconds that running requests get.
    """

    def __init__(self, host: Host, timeout_s: float) -> None:
        self._host = host
        self._timeout_s = timeout_s
        self._told: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="pyllama-drain", daemon=True)
        self._thread.start()

    def begin(self) -> None:
        """Begin to drain; returns at once, and may be called in a signal handler."""
        self._told.put(None)

    def join(self, timeout_s: float) -> None:
        """End the thread, after the drain if one runs."""
        self._told.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        self._told.get()
        try:
            self._host.drain(self._timeout_s)
        except Exception:  # noqa: BLE001 - logged; the worker ends all the same
            _log.exception("the drain failed")
