"""How much of the server a client may hold, and for how long."""

from __future__ import annotations

import resource
from dataclasses import dataclass

_SPARE_FILES = 128
"""Files that are no connections: the server's own, uploads, what the engine opens."""

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of connections; times are seconds."""

    n_connections: int
    """Connections, and files of bodies, that may be open."""
    n_idle: int
    """Connections that wait for their next request."""
    n_unfinished: int
    """Connections of one client whose request is not whole."""
    n_threads: int
    """Requests that can be worked at."""
    n_probes: int = 8
    """Connections beyond the others, where all of those are being answered, for those who ask how
    the server is."""
    idle_s: float = 30.0
    """Between two requests of a connection."""
    read_s: float = 20.0
    """For a head, from its first byte or from the connection's begin; and what a body may take
    beyond the time that :attr:`body_rate` gives it."""
    body_rate: int = 8 * 1024
    """Bytes a second that a body comes at on average, at least."""
    body_s: float = 3600.0
    """For a body, however large."""
    linger_s: float = 2.0
    """For a client to take in the last answer of its connection."""
    stall_s: float = 2.0
    """After which a client that reads nothing has to go, where others wait for its thread."""
    send_s: float = 30.0
    """In which a client must take in a part of its answer."""
    head_bytes: int = 64 * 1024
    """Length of a head."""
    memory_bytes: int = 256 * 1024
    """What is kept of a body in memory until it is whole; the rest is on disk."""
    spool_bytes: int = 2000 * MIB
    """On disk, all bodies together."""

    def body_time_s(self, n_bytes: int) -> float:
        """Return how long a body may take of which so much came."""
        return min(self.read_s + n_bytes / self.body_rate, self.body_s)


def derive(
    *, n_connections: int, n_threads: int, n_unfinished: int, read_s: float, idle_s: float
) -> Limits:
    """Return the limits that follow from what was asked for and from what the system gives.

    Args:
        n_connections: wanted; fewer where the process may not open as many files.
        n_threads: of the pool.
        n_unfinished: of one client; 0 takes an eighth of the connections.
        read_s: as :attr:`Limits.read_s`.
        idle_s: as :attr:`Limits.idle_s`.
    """
    n_files = open_files()
    n_possible = max(n_files - _SPARE_FILES, n_files // 2)
    n_given = max(min(n_connections, n_possible), 1)
    return Limits(
        n_connections=n_given,
        n_idle=max(n_given - n_threads, n_given // 2, 1),
        n_unfinished=min(n_unfinished or max(n_given // 8, 1), n_given),
        n_threads=n_threads,
        read_s=read_s,
        idle_s=idle_s,
    )


def open_files() -> int:
    """Return how many files this process may have open."""
    n_files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return n_files if n_files != resource.RLIM_INFINITY else 1 << 30
