"""The disk that holds large bodies until they are whole, written to by a thread of its own."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from pyllama.errors import DiskFull

from ..disk import foreseen
from .errors import ConnectionsFull

if TYPE_CHECKING:
    from collections.abc import Callable

    from .connection import Connection

_RETRY_AFTER_S = 5.0


class Spool:
    """Moves what came of bodies to disk. A disk may be slow; the loop must not be.

    Args:
        max_bytes: of all bodies.
        defer: has a function called on the loop's thread.
        done: called there with a connection, and with what went wrong.
    """

    def __init__(
        self,
        max_bytes: int,
        defer: Callable[..., None],
        done: Callable[[Connection, Exception | None], None],
    ) -> None:
        self._max_bytes = max_bytes
        self._defer = defer
        self._done = done
        self._sizes: dict[Connection, int] = {}
        self._n_bytes = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pyllama-spool")

    @property
    def n_files(self) -> int:
        """Files that are open."""
        return len(self._sizes)

    @property
    def is_over(self) -> bool:
        """Whether there is more on disk than may be."""
        return self._n_bytes > self._max_bytes

    def pour(self, connection: Connection) -> None:
        """Write what a connection's inbox has in memory; returns at once."""
        self._sizes.setdefault(connection, 0)
        self._thread.submit(connection.inbox.pour).add_done_callback(
            lambda future: self._defer(self._poured, connection, future)
        )

    def forget(self, connection: Connection) -> None:
        """Count a connection no more: its request was answered, or never will be."""
        self._n_bytes -= self._sizes.pop(connection, 0)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _poured(self, connection: Connection, future: Future[None]) -> None:
        failure = None if future.cancelled() else future.exception()
        n_bytes = connection.inbox.n_on_disk
        self._n_bytes += n_bytes - self._sizes.get(connection, 0)
        self._sizes[connection] = n_bytes
        self._done(connection, _meaning(failure) if failure is not None else None)


def _meaning(failure: BaseException) -> Exception:
    if isinstance(failure, Exception) and isinstance(meant := foreseen(failure), DiskFull):
        return meant
    return ConnectionsFull(
        "the request body could not be kept; try again later", retry_after_s=_RETRY_AFTER_S
    )
