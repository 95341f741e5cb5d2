"""Long native work that leaves the main thread free for Ctrl-C.

Python runs the handlers of signals on the main thread, between two of its instructions: a call
that computes for seconds there would keep them all waiting.
"""

from __future__ import annotations

import contextvars
import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

# On Windows a wait without an end cannot be interrupted.
_PATIENCE_S = 0.2
# What work that was told to end gets for it before the caller goes on without it.
_FAREWELL_S = 0.5


class Cancellation:
    """Tells native work to end early; any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_set = False
        self._actions: list[Callable[[], None]] = []

    def on_set(self, action: Callable[[], None]) -> None:
        """Have a function called when the work is to end; at once if that was said already."""
        with self._lock:
            self._actions.append(action)
            is_set = self._is_set
        if is_set:
            action()

    def set(self) -> None:
        """Say that the work is to end."""
        with self._lock:
            self._is_set = True
            actions = tuple(self._actions)
        for action in actions:
            action()


def interruptible(
    work: Callable[[Cancellation], Result], discard: Callable[[Result], None]
) -> Result:
    """Return the result of work; on the main thread an exception of a signal's handler ends it.

    Args:
        work: runs on a thread of its own if this is the main one, else here.
        discard: frees a result that nobody waits for any more.
    """
    if threading.current_thread() is not threading.main_thread():
        return work(Cancellation())
    return _Job(work, discard).result()


class _Job(Generic[Result]):
    """Work on a thread of its own."""

    def __init__(
        self, work: Callable[[Cancellation], Result], discard: Callable[[Result], None]
    ) -> None:
        self._work = work
        self._discard = discard
        self._cancellation = Cancellation()
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._is_given_up = False
        self._results: list[Result] = []
        self._error: BaseException | None = None
        context = contextvars.copy_context()
        # Not a daemon: the interpreter must not end under native code.
        self._thread = threading.Thread(target=context.run, args=(self._run,), name="pyllama-load")

    def result(self) -> Result:
        try:
            self._thread.start()
            while not self._is_over.wait(_PATIENCE_S):
                pass
            self._thread.join()
            if self._error is None:
                return self._results.pop()
        except BaseException:
            self._give_up()
            raise
        try:
            raise self._error
        finally:
            # Its traceback holds this frame, and with it everything that was loaded so far.
            self._error = None

    def _run(self) -> None:
        try:
            result = self._work(self._cancellation)
        except BaseException as error:  # noqa: BLE001  (raised again by who waits)
            self._error = error
        else:
            with self._lock:
                self._results.append(result)
                is_given_up = self._is_given_up
            if is_given_up:
                self._drop()
        finally:
            self._is_over.set()

    def _give_up(self) -> None:
        self._cancellation.set()
        with self._lock:
            self._is_given_up = True
        self._drop()
        self._is_over.wait(_FAREWELL_S)

    def _drop(self) -> None:
        while self._results:
            try:
                result = self._results.pop()
            except IndexError:
                return
            self._discard(result)
