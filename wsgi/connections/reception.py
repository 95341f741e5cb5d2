"""The loop's part of serving: it reads requests, and hands over those that are whole.

A thread is only taken by a request that is there. Whoever sends slowly, or nothing, or keeps its
connection for later, costs a file and some memory, for a bounded time and in a bounded number.
Everything here runs on the loop's thread and waits for nothing.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import time
from typing import TYPE_CHECKING

from ..paths import PROBES
from .connection import Connection, Stage
from .errors import ConnectionsFull, RequestTooSlow
from .refusals import refusal
from .roster import Roster
from .spool import Spool
from .stalls import Stalls

if TYPE_CHECKING:
    from collections.abc import Callable

    from .limits import Limits

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_STOP_S = 2.0
"""How long a server that stops lets its clients send what they may be about to."""
_MAX_DRAIN_BYTES = 64 * 1024 * 1024
_DRAIN_BYTES = 64 * 1024
_RETRY_AFTER_S = 5.0
_LISTENING = {Stage.READING, Stage.IDLE}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Reception:
    """All connections of a worker, but for what its threads do with them.

    Args:
        limits: bounds.
        poller: the loop's; calls back what is registered with a socket.
        hand_over: takes a connection whose request is whole, or cut short for good; it must come
            back through :meth:`take_back`.
        report: answers a request that gunicorn's parser did not take.
        defer: has a function called on the loop's thread.
        clock: seconds.
    """

    def __init__(
        self,
        limits: Limits,
        poller: selectors.BaseSelector,
        *,
        hand_over: Callable[[Connection], None],
        report: Callable[[Connection, Exception], None],
        defer: Callable[..., None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = limits
        self._poller = poller
        self._hand_over = hand_over
        self._report = report
        self._clock = clock
        self._spool = Spool(limits.spool_bytes, defer, self._poured)
        self._stalls = Stalls(limits.stall_s)
        self._stop_s: float | None = None
        self.unfinished = Roster()
        self.idle = Roster()
        self.busy = Roster()
        self._probing: set[Connection] = set()
        self._leaving = Roster()

    def __len__(self) -> int:
        """Return how many connections are open."""
        return sum(map(len, (self.unfinished, self.idle, self.busy, self._leaving)))

    @property
    def is_watching(self) -> bool:
        """Whether there are deadlines to look after."""
        return bool(len(self.unfinished) or len(self.idle) or len(self._leaving))

    def admit(self, connection: Connection) -> None:
        """Take in a new connection; the one that has waited longest goes if there are too many."""
        n_open = len(self) + self._spool.n_files
        n_probes = self._limits.n_probes
        n_more = n_probes if self._is_taken else min(len(self._probing), n_probes)
        if n_open >= self._limits.n_connections + n_more and not self.make_room():
            connection.send_last(refusal(connection, _full("connections")))
            connection.close()
            return
        self._await_request(connection)
        self._watch(connection, _READ)

    @property
    def _is_taken(self) -> bool:
        """Whether as many requests are being answered as there may be, but for probes."""
        n_busy = len(self.busy) - len(self._probing)
        return n_busy + self._spool.n_files >= self._limits.n_connections

    def make_room(self) -> bool:
        """Close a connection that nothing is done for; return whether there was one."""
        for roster in (self._leaving, self.idle, self.unfinished):
            victim = roster.next_to_go()
            if victim is not None:
                if victim.reader.has_begun and roster is self.unfinished:
                    victim.send_last(refusal(victim, _full("connections")))
                self._close(victim)
                return True
        return False

    def take_back(self, connection: Connection, *, is_kept: bool) -> None:
        """Take a connection back from the threads: for its next request, or for its end."""
        self.busy.discard(connection)
        self._probing.discard(connection)
        connection.stalled_s = None
        self._spool.forget(connection)
        if connection.sock.fileno() < 0:
            self._close(connection)
        elif is_kept:
            self._continue(connection)
        else:
            self._leave(connection)

    def sweep(self) -> None:
        """Look after the deadlines."""
        now_s = self._clock()
        for connection in (*self._leaving, *self.idle):
            if connection.deadline_s <= now_s:
                self._close(connection)
        for connection in self.unfinished:
            if connection.deadline_s <= now_s:
                self._expel(connection, "the request did not come in time; send it again, faster")
        self._stalls.relieve(self.busy, len(self.busy) - self._limits.n_threads, now_s)

    def stop(self) -> None:
        """Let no connection wait much longer for a request."""
        self._stop_s = self._clock() + _STOP_S
        for connection in (*self.unfinished, *self.idle):
            connection.deadline_s = min(connection.deadline_s, self._stop_s)

    def close(self) -> None:
        """Close what no thread holds."""
        for connection in (*self.unfinished, *self.idle, *self._leaving):
            self._close(connection)
        self._spool.close()

    def _await_request(self, connection: Connection) -> None:
        connection.stage = Stage.READING
        connection.began_s = self._clock()
        self._set_deadline(connection, connection.began_s + self._limits.read_s)
        self.unfinished.add(connection)
        while self.unfinished.count(connection.holder) > self._limits.n_unfinished:
            self._expel(
                self.unfinished.oldest(connection.holder),
                "too many requests of this client are not whole; this was the oldest of them",
            )

    def _continue(self, connection: Connection) -> None:
        connection.resume()
        rest = connection.reader.next()
        if rest:
            self._await_request(connection)
            self._take(connection, rest)
            return
        connection.stage = Stage.IDLE
        self._set_deadline(connection, self._clock() + self._limits.idle_s)
        self.idle.add(connection)
        if len(self.idle) > self._limits.n_idle:
            victim = self.idle.next_to_go()
            if victim is not None:
                self._close(victim)
        if connection.stage is Stage.IDLE:
            self._watch(connection, _READ)

    def _read(self, connection: Connection) -> None:
        if connection.is_foreign:
            self.idle.discard(connection)
            self._dispatch(connection)
            return
        try:
            data = connection.receive()
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError):
            self._watch(connection, _READ)
        except ssl.SSLWantWriteError:
            self._watch(connection, _WRITE)
        except OSError:
            self._close(connection)
        else:
            self._received(connection, data)

    def _received(self, connection: Connection, data: bytes) -> None:
        if connection.stage is Stage.IDLE and data:
            self.idle.discard(connection)
            self._await_request(connection)
        if data:
            self._take(connection, data)
        elif connection.reader.request is not None:
            connection.reader.cut()
            self._dispatch(connection)
        else:
            self._close(connection)

    def _take(self, connection: Connection, data: bytes) -> None:
        reader = connection.reader
        is_first = not reader.has_begun
        was_head = reader.request is None
        try:
            is_answerable = reader.feed(data)
        except Exception as exc:  # noqa: BLE001 - all that a parser may have against a request
            self._report(connection, exc)
            self._leave(connection)
            return
        if self._is_taken and reader.request is not None and connection.path not in PROBES:
            self._refuse(connection, _full("connections"))
            return
        if is_answerable:
            self._dispatch(connection)
            return
        self._note_progress(connection, is_first=is_first, is_head_over=was_head)
        if connection.inbox.n_in_memory > self._limits.memory_bytes:
            self._pour(connection)
        else:
            self._watch(connection, _READ)

    def _note_progress(self, connection: Connection, *, is_first: bool, is_head_over: bool) -> None:
        reader = connection.reader
        if reader.request is None:
            if is_first:
                self._set_deadline(connection, self._clock() + self._limits.read_s)
            return
        if is_head_over:
            connection.began_s = self._clock()
            if reader.expects_100:
                connection.send_now(_CONTINUE)
        allowed_s = self._limits.body_time_s(reader.n_body_bytes)
        self._set_deadline(connection, connection.began_s + allowed_s)

    def _set_deadline(self, connection: Connection, time_s: float) -> None:
        connection.deadline_s = time_s if self._stop_s is None else min(time_s, self._stop_s)

    def _dispatch(self, connection: Connection) -> None:
        # The loop goes on to watch it: most clients say nothing until they are answered, so that
        # it need not be told twice for each request.
        self.unfinished.discard(connection)
        connection.inbox.seal()
        connection.stage = Stage.BUSY
        self.busy.add(connection)
        if connection.path in PROBES:
            self._probing.add(connection)
        self._hand_over(connection)

    def _pour(self, connection: Connection) -> None:
        self._watch(connection, 0)
        connection.stage = Stage.POURING
        self._spool.pour(connection)

    def _poured(self, connection: Connection, failure: Exception | None) -> None:
        if connection.stage is not Stage.POURING:
            self._spool.forget(connection)
            connection.inbox.close()
            return
        connection.stage = Stage.READING
        if failure is not None:
            self._refuse(connection, failure)
            return
        while self._spool.is_over:
            victim = self.unfinished.bulkiest()
            if victim is None:
                break
            self._refuse(victim, _full("request bodies"))
        if connection.stage is Stage.READING:
            self._read(connection)

    def _expel(self, connection: Connection, reason: str) -> None:
        if connection.reader.has_begun:
            self._refuse(connection, RequestTooSlow(reason))
        else:
            # Browsers connect ahead of need, and would show an answer that nothing was asked for.
            self._close(connection)

    def _refuse(self, connection: Connection, exc: Exception) -> None:
        connection.send_now(refusal(connection, exc))
        self._leave(connection)

    def _leave(self, connection: Connection) -> None:
        """End what is sent; give the client time to take it in.

        To close a socket that was not read to its end destroys what its client has yet to read.
        """
        self._forget(connection)
        try:
            connection.sock.shutdown(socket.SHUT_WR)
        except (OSError, ValueError):
            self._close(connection)
            return
        connection.stage = Stage.LEAVING
        connection.deadline_s = self._clock() + self._limits.linger_s
        self._leaving.add(connection)
        self._drain(connection)

    def _drain(self, connection: Connection) -> None:
        try:
            data = connection.sock.recv(_DRAIN_BYTES, socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            self._watch(connection, _READ)
            return
        except (OSError, ValueError):
            data = b""
        connection.n_drained += len(data)
        if data and connection.n_drained < _MAX_DRAIN_BYTES:
            self._watch(connection, _READ)
        else:
            self._close(connection)

    def _forget(self, connection: Connection) -> None:
        self._watch(connection, 0)
        for roster in (self.unfinished, self.idle, self.busy, self._leaving):
            roster.discard(connection)
        self._probing.discard(connection)
        if connection.stage is not Stage.POURING:
            self._spool.forget(connection)
            connection.inbox.close()

    def _close(self, connection: Connection) -> None:
        self._forget(connection)
        connection.stage = Stage.CLOSED
        connection.close()

    def _watch(self, connection: Connection, events: int) -> None:
        """Have the loop call for events of a connection; 0 for none."""
        if events == connection.events:
            return
        if connection.events:
            # Unless gunicorn closed it, and its number was given to another one.
            with contextlib.suppress(KeyError, ValueError):
                self._poller.unregister(connection.sock)
        if events:
            self._register(connection, events)
        connection.events = events

    def _register(self, connection: Connection, events: int) -> None:
        def call_back(_: object) -> None:
            self._on_event(connection)

        try:
            self._poller.register(connection.sock, events, call_back)
        except KeyError:  # the number is known for one that gunicorn closed
            self._poller.unregister(connection.sock.fileno())
            self._poller.register(connection.sock, events, call_back)

    def _on_event(self, connection: Connection) -> None:
        # One may have been closed for the sake of another that was in the same round.
        if connection.stage is Stage.LEAVING:
            self._drain(connection)
        elif connection.stage in _LISTENING:
            self._read(connection)
        else:
            self._watch(connection, 0)


def _full(what: str) -> Exception:
    return ConnectionsFull(
        f"the server holds as many {what} as it can; try again later",
        retry_after_s=_RETRY_AFTER_S,
    )
