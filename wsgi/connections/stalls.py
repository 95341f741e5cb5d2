"""Clients that do not read their answers, and hold the threads that send them."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .connection import Connection


class Stalls:
    """Ends answers that nobody reads, where other requests wait for a thread.

    Args:
        stall_s: how long a client may leave its connection full meanwhile.
    """

    def __init__(self, stall_s: float) -> None:
        self._stall_s = stall_s

    def relieve(self, busy: Iterable[Connection], n_waiting: int, now_s: float) -> None:
        """Free as many threads as requests wait for one, if clients hold them that long."""
        if n_waiting <= 0:
            return
        held = [each for each in busy if self._is_stalled(each, now_s)]
        for connection in sorted(held, key=lambda each: each.stalled_s or now_s)[:n_waiting]:
            connection.hang_up()

    def _is_stalled(self, connection: Connection, now_s: float) -> bool:
        if is_writable(connection.sock.fileno()):
            connection.stalled_s = None
            return False
        if connection.stalled_s is None:
            connection.stalled_s = now_s
        return now_s - connection.stalled_s >= self._stall_s


def is_writable(file: int) -> bool:
    """Return whether a connection takes bytes now; so does one that is broken, or closed."""
    if file < 0:
        return True
    poller = select.poll()
    poller.register(file, select.POLLOUT)
    return bool(poller.poll(0))
