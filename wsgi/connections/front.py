"""The server's front: what accepts connections, and gives their requests to threads."""

from __future__ import annotations

import errno
import logging
import ssl
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from .. import serve
from ..body import MAX_BODY_BYTES
from ..gunicorn_seam import ssl_context
from ..paths import PROBES, UPLOAD
from ..webui.uploads import FORM_BYTES, MAX_FILE_BYTES
from .connection import Connection, Stage
from .limits import derive
from .reception import Reception
from .stalls import is_writable

if TYPE_CHECKING:
    from ..gunicorn_seam import LoopWorker

_log = logging.getLogger("pyllama.wsgi")

_SWEEP_S = 0.25
_N_ACCEPTED = 64
"""Connections that are accepted in a row, before the others get their turn."""
_N_PROBES = 2
"""Threads for those who ask how the server is."""
_PAUSE_S = 0.5
_QUIET_S = 60.0
"""Between two warnings of the same."""
_NOBODY_THERE = {errno.EAGAIN, errno.EWOULDBLOCK}
_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Front:
    """Connects a worker's listening sockets, its reception and its threads.

    Args:
        worker: gunicorn's.
    """

    def __init__(self, worker: LoopWorker) -> None:
        self._worker = worker
        self._cfg = worker.cfg
        settings = serve.get_settings()
        self._limits = derive(
            n_connections=self._cfg.worker_connections,
            n_threads=self._cfg.threads,
            n_unfinished=settings.max_unfinished,
            read_s=settings.read_timeout_s,
            idle_s=float(self._cfg.keepalive),
        )
        self._probes = ThreadPoolExecutor(_N_PROBES, thread_name_prefix="pyllama-probe")
        self._tls = ssl_context(self._cfg)
        self._reception = Reception(
            self._limits,
            worker.selector,
            hand_over=self._hand_over,
            report=worker.refuse,
            defer=worker.defer,
        )
        self._resume_s: float | None = None
        self._swept_s = 0.0
        self._warned_s = -_QUIET_S

    @property
    def n_open(self) -> int:
        """Connections that are open."""
        return len(self._reception)

    @property
    def is_watching(self) -> bool:
        """Whether :meth:`look` has deadlines to look after."""
        return self._resume_s is not None or self._reception.is_watching

    def accept(self, listener: Any) -> None:
        """Take what waits to be accepted."""
        for _ in range(_N_ACCEPTED):
            try:
                sock, address = listener.accept()
            except ConnectionAbortedError:
                continue
            except OSError as exc:
                # Whatever else it is, the next client may have more luck.
                if exc.errno not in _NOBODY_THERE and (
                    exc.errno not in _NO_ROOM or not self._reception.make_room()
                ):
                    self._pause(exc)
                return
            self._admit(sock, address, listener.getsockname())

    def look(self) -> None:
        """Do what is due; called after each round of the loop."""
        now_s = time.monotonic()
        if now_s - self._swept_s < _SWEEP_S:
            return
        self._swept_s = now_s
        self._reception.sweep()
        if self._resume_s is not None and self._resume_s <= now_s:
            self._resume_s = None
            self._worker.set_accept_enabled(self._worker.alive)

    def stop(self) -> None:
        """Accept no more; those who are about to send a request have a moment for it."""
        self._resume_s = None
        self._worker.set_accept_enabled(False)
        self._reception.stop()

    def close(self) -> None:
        """Close what no thread holds."""
        self._reception.close()
        self._probes.shutdown(wait=False, cancel_futures=True)

    def bound(self, connection: Connection) -> None:
        """Bound what the sends of an answer may wait; without TLS they are bounded already."""
        if isinstance(connection.sock, ssl.SSLSocket):
            connection.sock.settimeout(self._limits.send_s)

    def _admit(self, sock: Any, address: Any, server: Any) -> None:
        try:
            connection = Connection(
                self._cfg, sock, address, server, self._limits, _body_limit, self._tls
            )
        except OSError:  # the client left before it was looked at
            sock.close()
            return
        self._reception.admit(connection)

    def _pause(self, exc: OSError) -> None:
        """Leave the listening sockets alone for a while: they would call again and again."""
        now_s = time.monotonic()
        if now_s - self._warned_s >= _QUIET_S:
            self._warned_s = now_s
            _log.warning("no connection can be accepted now: %s", exc.strerror)
        self._resume_s = now_s + _PAUSE_S
        self._worker.set_accept_enabled(False)

    def _hand_over(self, connection: Connection) -> None:
        # One who has not read the answers before this one would hold up the others.
        is_probe = connection.path in PROBES and (
            connection.n_requests == 0 or is_writable(connection.sock.fileno())
        )
        connection.n_requests += 1
        if is_probe:
            future = self._probes.submit(self._worker.handle, connection)
        else:
            future = self._worker.submit(connection)
        future.add_done_callback(
            lambda future: self._worker.defer(self._take_back, connection, future)
        )

    def _take_back(self, connection: Connection, future: Future[bool]) -> None:
        is_kept = not future.cancelled() and future.exception() is None and future.result()
        if connection.stage is Stage.BUSY:
            is_kept = bool(is_kept) and connection.is_at_request()
            self._reception.take_back(connection, is_kept=is_kept)


def _body_limit(path: str) -> int:
    return MAX_FILE_BYTES + FORM_BYTES if path == UPLOAD else MAX_BODY_BYTES
