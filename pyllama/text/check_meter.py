"""What one check of a JSON value may cost, counted while it runs."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

from pyllama.text.matcher import matcher
from pyllama.text.references import References

if TYPE_CHECKING:
    from pyllama.text.references import JsonSchema

MAX_STEPS = 300_000
"""Keywords, members and comparisons of one check: about a second."""
MAX_BACKTRACKING_S = 0.2
"""Longest time of one check for all patterns that need a matcher which backtracks."""
_WORK_PER_STEP = 2000
_STEPS_PER_LOOK = 64
# A thread that computes gives the interpreter's lock away every 5 ms, and others ask for it several
# times for each token that they serve.
_BREAK_EVERY_S = 0.001
_BREAK_S = 0.0005

_local = threading.local()


class CheckMeter:
    """Counts the steps of one check. For one thread, on which :meth:`current` finds it.

    Args:
        schema: the whole schema.
        max_s: longest time of the processor.
    """

    def __init__(self, schema: JsonSchema, max_s: float) -> None:
        self.references = References(schema)
        self.known: dict[tuple[int, int], str | None] = {}
        """What came of holding a value against a reference, by the identities of both: the first
        fault or "". None while it is not known."""
        self._schema = schema
        self._has_named_patterns: bool | None = None
        self._n_left = MAX_STEPS
        self._backtracking_s = MAX_BACKTRACKING_S
        self._break_s = time.thread_time()
        self._deadline_s = self._break_s + max_s

    @staticmethod
    def current() -> CheckMeter:
        """Return the meter of the check that runs on this thread."""
        meter: CheckMeter = _local.meter
        return meter

    def begin(self) -> None:
        """Count what this thread does from now on."""
        _local.meter = self

    def charge(self, n_steps: int = 1) -> None:
        """Count steps.

        Raises:
            TimeoutError: they were too many, or took too long.
        """
        n_before = self._n_left
        self._n_left -= n_steps
        if self._n_left < 0:
            raise TimeoutError
        if n_before // _STEPS_PER_LOOK != self._n_left // _STEPS_PER_LOOK:
            self.look()

    def look(self) -> None:
        """Let others have the lock, if it is time.

        Raises:
            TimeoutError: the check took too long.
        """
        now_s = time.thread_time()
        if now_s > self._deadline_s:
            raise TimeoutError
        if now_s - self._break_s > _BREAK_EVERY_S:
            self._break_s = now_s
            time.sleep(_BREAK_S)

    def matches(self, pattern: str, text: str) -> bool:
        """Return whether a pattern occurs in a text.

        Raises:
            PatternError: it cannot be used.
            TimeoutError: it takes too long.
        """
        self.look()
        found = matcher(pattern)
        self.charge(1 + found.work(text) // _WORK_PER_STEP)
        start_s = time.thread_time()
        try:
            return found.search(text, self._backtracking_s)
        finally:
            if not found.is_linear:
                self._backtracking_s -= time.thread_time() - start_s

    @property
    def has_named_patterns(self) -> bool:
        """Whether ``patternProperties`` occurs anywhere in the schema."""
        if self._has_named_patterns is None:
            self._has_named_patterns = "patternProperties" in json.dumps(self._schema)
        return self._has_named_patterns
