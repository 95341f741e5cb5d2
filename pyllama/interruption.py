"""Work for a request ends where nobody waits for it any more, or where it takes too long.

The caller's own thread makes a prompt of a request, in many small steps: between them it asks at
checkpoints whether to go on. Native code that takes long does so too.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING

from pyllama.errors import TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

# A client that left is noticed within 250 ms: there is time left for a step to end.
_LOOK_S = 0.05


class Interruptible:
    """What a thread does from here on may be interrupted at checkpoints, until the end of it.

    A context manager, for one thread::

        with Interruptible(look, limit_s=10.0):
            prompt = llm.chat_prompt(messages)

    Args:
        look: called at checkpoints, some 20 times a second at most; what it raises, the
            checkpoint raises.
        limit_s: seconds from the first checkpoint on after which each raises
            :class:`pyllama.errors.TooLarge`; None: no limit.
    """

    def __init__(self, look: Callable[[], None], *, limit_s: float | None = None) -> None:
        self._look = look
        self._limit_s = limit_s
        self._end_s: float | None = None
        self._next_s = 0.0
        self._token: Token[Interruptible | None] | None = None

    def begin(self) -> None:
        """Let checkpoints of this thread ask from now on."""
        self._token = _current.set(self)

    def __enter__(self) -> Interruptible:
        """Begin."""
        self.begin()
        return self

    def __exit__(self, *_error: object) -> None:
        """End."""
        self.end()

    def end(self) -> None:
        """Let what follows run to its end; idempotent."""
        token, self._token = self._token, None
        if token is not None:
            _current.reset(token)

    def check(self) -> None:
        """Raise if the work shall end; mostly only reads the clock."""
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + _LOOK_S
        self._look()
        if self._limit_s is None:
            return
        if self._end_s is None:
            self._end_s = now_s + self._limit_s
        if now_s >= self._end_s:
            raise TooLarge(
                f"preparing the request took longer than {self._limit_s:g} seconds; shorten it"
            )


_current: ContextVar[Interruptible | None] = ContextVar("pyllama_interruptible", default=None)


def checkpoint() -> None:
    """Raise if what this thread does shall end.

    Raises:
        Exception: whatever the look of the :class:`Interruptible` around it raises.
        TooLarge: there is no time left.
    """
    current = _current.get()
    if current is not None:
        current.check()
