"""The hand-off of a request's events from the engine thread to the one that drains its mailbox."""

from __future__ import annotations

import queue
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pyllama.sched import Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyllama.errors import PyllamaError


@dataclass(frozen=True, slots=True)
class Failed:
    """The sequence ended without an answer."""

    error: PyllamaError


StreamEvent: TypeAlias = "Event | Failed"


class Mailbox:
    """Events of all sequences of one request, for one consumer.

    The consumer waits in :meth:`receive`, or is called (:meth:`notify`) and need not wait.

    It has no bound of its own: a sequence emits at most its ``max_tokens``, and the engine thread
    must never wait for a slow client.
    """

    __slots__ = ("_is_notified", "_n_streams", "_notify", "_posts")

    def __init__(self) -> None:
        # An event of None wakes a consumer that waits while another thread closes the stream.
        self._posts: queue.SimpleQueue[tuple[TokenStream, StreamEvent | None]] = queue.SimpleQueue()
        self._n_streams = 0
        self._notify: Callable[[], None] | None = None
        self._is_notified = False

    def stream(self) -> TokenStream:
        """Return a new stream, whose events come here."""
        self._n_streams += 1
        return TokenStream(self, self._n_streams - 1)

    def post(self, stream: TokenStream, event: StreamEvent | None) -> None:
        """Take in an event; any thread may call it, and none waits."""
        self._posts.put((stream, event))
        # The post comes before the look at the flag, and in receive() the flag falls before the
        # posts are looked at: whichever thread is quicker, what was posted is received.
        if not self._is_notified and (notify := self._notify) is not None:
            self._is_notified = True
            notify()

    def notify(self, call: Callable[[], None] | None) -> None:
        """Have a function called once there is something to receive; None ends that.

        It is called once for all that is posted before the next :meth:`receive`. What was posted
        earlier is received without a call.

        Args:
            call: runs on the thread that posts; must not block.
        """
        self._is_notified = False
        self._notify = call

    def receive(self, timeout_s: float | None) -> list[int]:
        """Give what was posted to its streams; return their indices, first come, first served.

        Args:
            timeout_s: seconds to wait for something; None waits for as long as it takes.
        """
        self._is_notified = False
        posts = self._posts
        if timeout_s == 0 and posts.empty():
            return []
        try:
            stream, event = posts.get(timeout=timeout_s)
        except queue.Empty:
            return []
        indices: dict[int, None] = {}
        while True:
            indices[stream.index] = None
            if event is not None:
                stream.unread.append(event)
            if posts.empty():
                return list(indices)
            stream, event = posts.get_nowait()


class TokenStream:
    """Events of one sequence.

    Args:
        mailbox: the request's, through which they come.
        index: which of the request's streams it is.
    """

    __slots__ = ("_mailbox", "index", "is_closed", "unread")

    def __init__(self, mailbox: Mailbox, index: int) -> None:
        self._mailbox = mailbox
        self.index = index
        self.is_closed = False
        self.unread: list[StreamEvent] = []
        """What the mailbox gave it and nobody has taken: the consumer's."""

    # ---- any thread ---------------------------------------------------------------------------

    def put(self, event: StreamEvent) -> None:
        """Hand over an event; called by the engine thread only."""
        if not self.is_closed:
            self._mailbox.post(self, event)

    def close(self) -> None:
        """Drop what comes from now on, and wake the consumer."""
        self.is_closed = True
        self._mailbox.post(self, None)

    # ---- the consumer -------------------------------------------------------------------------

    def take(self) -> list[StreamEvent]:
        """Return the events that the mailbox gave it."""
        events, self.unread = self.unread, []
        return events

    def get(self, timeout_s: float | None) -> list[StreamEvent]:
        """Wait for events; return all that are there. Those of other streams are kept for them.

        Returns none where the time runs out first, or where the stream is closed meanwhile.
        """
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self.unread:
            left_s = None if deadline_s is None else max(deadline_s - time.monotonic(), 0.0)
            if not self._mailbox.receive(left_s) or self.is_closed:
                break
        return self.take()
