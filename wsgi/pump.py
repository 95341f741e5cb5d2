"""Stream tasks, and the threads that run them: the pump for all requests, or a request's own.

Every request has a thread of its own. Were each of these woken for each of its tokens, they would
meet at the GIL at the end of every step, and every one of them would take a core from the threads
that compute the next. So they sleep through their answers, and one thread does their work.
"""

from __future__ import annotations

import functools
import queue
import threading
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

# A client that left is noticed within 250 ms; the difference is for the thread to be scheduled.
_POLL_S = 0.2
# Between two looks at a client. More would cost: each look gives the GIL away.
_LOOK_S = 0.1


class StreamTask:
    """Takes in what comes for a request, until the request's own thread has to go on.

    It runs on one thread at a time: on the request's own, or on the pump's, which it may never
    hold up.

    Args:
        advance: takes in all that came, waiting up to so many seconds for it to come; returns
            whether the own thread has to go on.
        look: called several times a second, whether anything comes or not; returns the same.
        notify: has a function called whenever there may be something to take in, None ends that;
            for a task that is run by the pump.
    """

    def __init__(
        self,
        advance: Callable[[float], bool],
        look: Callable[[], bool],
        notify: Callable[[Callable[[], None] | None], None] = lambda _: None,
    ) -> None:
        self.notify = notify
        self._advance = advance
        self._look = look
        self._failure: Exception | None = None

    def run_on(self, runner: Runner) -> None:
        """Return once the own thread, which calls this, has to go on; raises what went wrong."""
        runner.run(self)
        if (failure := self._failure) is not None:
            self._failure = None
            raise failure

    def advance(self, timeout_s: float) -> bool:
        """Take in what came; return whether the own thread has to go on. Raises nothing."""
        try:
            return self._advance(timeout_s)
        except Exception as exc:  # noqa: BLE001 - raised again on the own thread
            self._failure = exc
            return True

    def look(self) -> bool:
        """Do what is due at any rate; return the same. Raises nothing."""
        try:
            return self._look()
        except Exception as exc:  # noqa: BLE001 - same
            self._failure = exc
            return True


class Runner(Protocol):
    """A thread that runs tasks until they are blocked."""

    def run(self, task: StreamTask) -> None:
        """Run a task until its own thread has to go on; called by that one, which waits."""


class Pump:
    """Runs the stream tasks of all requests on one thread, which begins with the first of them."""

    def __init__(self) -> None:
        self._ready: queue.SimpleQueue[StreamTask] = queue.SimpleQueue()
        self._tasks: dict[StreamTask, threading.Lock] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._looked_s = 0.0

    def run(self, task: StreamTask) -> None:
        """Run a task until its own thread has to go on; called by that one, which sleeps."""
        self._begin()
        is_blocked = threading.Lock()
        is_blocked.acquire()
        # In this order: once the task is known here, the pump may already let it go.
        task.notify(functools.partial(self._ready.put, task))
        self._tasks[task] = is_blocked
        # For what came before, of which nobody was notified.
        self._ready.put(task)
        is_blocked.acquire()

    def _begin(self) -> None:
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(
                        target=self._serve, name="pyllama-pump", daemon=True
                    )
                    self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                task = self._ready.get(timeout=_LOOK_S if self._tasks else None)
            except queue.Empty:
                pass
            else:
                # One that was let go may have been notified once more.
                if task in self._tasks and task.advance(0.0):
                    self._let_go(task)
                # It may have ended: then nothing keeps it until the next one.
                del task
            self._look()

    def _look(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_s >= _LOOK_S:
            self._looked_s = now_s
            for task in list(self._tasks):
                if task.look():
                    self._let_go(task)

    def _let_go(self, task: StreamTask) -> None:
        task.notify(None)
        self._tasks.pop(task).release()


class OwnThread:
    """Runs a task on the thread that calls: for one request, where it may wait."""

    def __init__(self) -> None:
        self._looked_s = 0.0

    def run(self, task: StreamTask) -> None:
        """Run a task until there is something else to do."""
        is_blocked = False
        while not is_blocked:
            is_blocked = task.advance(_POLL_S)
            now_s = time.monotonic()
            if now_s - self._looked_s >= _LOOK_S:
                self._looked_s = now_s
                is_blocked = task.look() or is_blocked
