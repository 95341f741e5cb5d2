"""Patterns of a JSON schema, matched in bounded time and without the interpreter's lock.

RE2 matches in time linear in the text, whatever the pattern. What it does not know, such as
references back and looking around, goes to a matcher that backtracks, with a time limit.
"""

from __future__ import annotations

import functools
import re

import re2
import regex

MAX_CHARS = 8192
"""Longest pattern."""
MAX_DEPTH = 100
"""Groups within groups: both matchers recurse along them."""
MAX_REPEAT = 99_999
MAX_WORK = 50_000_000
"""Most states of a pattern times characters of a text: under a second for RE2 at its slowest."""
_MAX_SIZE = 10_000
"""Most characters, repetitions written out, of a pattern for the matcher that backtracks: its
reader writes some of them out."""
_MAX_BYTES = 1 << 20

# One that is never closed goes to the end: read anew from each bracket it would cost the square.
_CLASS = r"\[\^?\]?(?:\\.?|[^\]\\])*(?:\]|\Z)"
# One element of a pattern, or the repetition of what is before it.
_ELEMENT = re.compile(
    r"(?P<open>\()|(?P<close>\))|\{(?P<least>\d+)(?:,(?P<most>\d*))?\}"
    rf"|\\.|{_CLASS}|.",
    re.DOTALL,
)
# Beyond ECMAScript's: recursion, likeness instead of equality. Each is a way to take time. What is
# escaped is none of them, nor is what a letter's property stands in.
_FOREIGN = re.compile(
    r"\\[pP]\{[\w:=^ -]*\}|\\."
    r"|(?P<foreign>\(\?(?![:=!>]|<[=!\w]|P[<=]|[imsx-]+[:)])|\{[^{}]*[a-zA-Z])",
    re.DOTALL,
)
_NAMED_REFERENCE = re.compile(rf"{_CLASS}|\\k<(\w+)>|\\.", re.DOTALL)
_UNICODE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)


class PatternError(ValueError):
    """A pattern that nobody can read, or that would take too long; the text says why."""


class Matcher:
    """A pattern, read; any thread may use it."""

    def __init__(self, pattern: str) -> None:
        size = _size(pattern)
        self._linear: re2._Regexp[str] | None = None
        self._backtracking: regex.Pattern[str] | None = None
        try:
            self._linear = re2.compile(_for_re2(pattern), _options())
        except (re2.error, UnicodeEncodeError):
            if size > _MAX_SIZE:
                raise PatternError(f"it stands for more than {_MAX_SIZE} characters") from None
            self._backtracking = _backtracking(pattern)

    @property
    def is_linear(self) -> bool:
        """Whether the time of a search is linear in the text."""
        return self._linear is not None

    def work(self, text: str) -> int:
        """Return how much a linear search in a text may cost, in states times characters."""
        return 0 if self._linear is None else self._linear.programsize * (len(text) + 1)

    def search(self, text: str, timeout_s: float) -> bool:
        """Return whether the pattern occurs in a text.

        Args:
            text: the text.
            timeout_s: longest time where the matcher backtracks.

        Raises:
            TimeoutError: it takes too long to tell.
        """
        if self._linear is not None:
            if self.work(text) > MAX_WORK:
                raise TimeoutError
            # A lone surrogate is no text; in its place is what stands for such.
            sound = text.encode("utf-8", "replace").decode("utf-8")
            return self._linear.search(sound) is not None
        assert self._backtracking is not None  # noqa: S101  (for the type checker)
        if timeout_s <= 0:
            raise TimeoutError
        return self._backtracking.search(text, timeout=timeout_s, concurrent=True) is not None


@functools.lru_cache(maxsize=128)
def matcher(pattern: str) -> Matcher:
    """Return the matcher of a pattern. Raises PatternError."""
    return Matcher(pattern)


def _size(pattern: str) -> int:
    """Return how many elements a pattern has, repetitions written out. Raises PatternError."""
    if len(pattern) > MAX_CHARS:
        raise PatternError(f"it has more than {MAX_CHARS} characters")
    # Of each open group: its size, and that of its last element.
    sizes = [[0, 0]]
    for match in _ELEMENT.finditer(pattern):
        if match["open"]:
            sizes.append([0, 0])
        elif match["close"] and len(sizes) > 1:
            last, _ = sizes.pop()
            sizes[-1] = [sizes[-1][0] + last, last]
        elif match["least"]:
            n_times = _n_times(match)
            total, last = sizes[-1]
            sizes[-1] = [total + last * max(n_times - 1, 0), last * n_times]
        else:
            sizes[-1] = [sizes[-1][0] + 1, 1]
        if len(sizes) > MAX_DEPTH:
            raise PatternError(f"its groups nest deeper than {MAX_DEPTH} levels")
    return sum(total for total, _ in sizes)


def _n_times(match: re.Match[str]) -> int:
    # RE2 takes a number that is too long for text.
    bounds = [match["least"], match["most"] or "0"]
    if any(len(bound) > len(str(MAX_REPEAT)) for bound in bounds):
        raise PatternError(f"{match[0][:20]} repeats more than {MAX_REPEAT} times")
    return max(map(int, bounds))


def _for_re2(pattern: str) -> str:
    return _UNICODE.sub(lambda m: rf"\x{{{m[1]}}}" if m[1] else m[0], pattern)


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = _MAX_BYTES
    return options


def _backtracking(pattern: str) -> regex.Pattern[str]:
    foreign = next((match for match in _FOREIGN.finditer(pattern) if match["foreign"]), None)
    if foreign is not None:
        raise PatternError(f"it has {foreign[0][:20]!r}, which is not taken")
    own = _NAMED_REFERENCE.sub(lambda m: f"(?P={m[1]})" if m[1] else m[0], pattern)
    try:
        return regex.compile(own, cache_pattern=False)
    except regex.error as error:
        raise PatternError(str(error)) from error
    except (ArithmeticError, LookupError, MemoryError, RecursionError, ValueError) as error:
        # What the matcher's own reader stumbles over.
        raise PatternError(f"it cannot be read ({type(error).__name__})") from error
