"""How patterns are read: in time linear in their length, and as ECMAScript has them."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from pyllama.text import pattern as patterns
from pyllama.text.matcher import MAX_CHARS, Matcher, PatternError, _size
from pyllama.text.schema import read

MAX_RATIO = 30
"""To as many plain letters; what reads the rest anew from each bracket takes 500 times."""

OPEN_CLASSES = [
    "[" * MAX_CHARS,
    "[a" * (MAX_CHARS // 2),
    "[\\a" * 2700,
    "[" * 8191 + "\\",
    "[^" * 4000,
]


def cpu_s(function: Callable[[str], object], text: str) -> float:
    """Return the least time of this thread in which a function takes a text."""
    times = []
    for _ in range(3):
        start_s = time.thread_time()
        function(text)
        times.append(time.thread_time() - start_s)
    return min(times)


@pytest.mark.parametrize("pattern", OPEN_CLASSES)
def test_brackets_that_are_never_closed_are_read_once(pattern: str) -> None:
    """A class without an end costs its length, not the square: the lock is held meanwhile."""
    assert cpu_s(_size, pattern) < MAX_RATIO * cpu_s(_size, "a" * MAX_CHARS)


@pytest.mark.parametrize("inner", ["[" * 8170, "[" * 8160 + "]b+", "[x" * 4080, "[\\]" * 2700])
def test_the_rounds_of_a_group_are_read_once(inner: str) -> None:
    """Whatever stands in a repeated group, to tell its rounds apart costs its length."""
    plain = "(a" + "b" * len(inner) + "+)*"
    assert cpu_s(patterns.may_explode, f"(a{inner}+)*") < MAX_RATIO * cpu_s(
        patterns.may_explode, plain
    )


@pytest.mark.parametrize("pattern", ["^(a+)+$", "(a|a)*b", "^(.*)*$", "^(-?[a-z]+)*$"])
def test_a_pattern_that_is_matched_in_linear_time_may_have_any_form(pattern: str) -> None:
    """Only what a matcher has to backtrack through is looked at for exponential time."""
    assert read({"type": "string", "pattern": pattern}, "s").check is not None


@pytest.mark.parametrize(
    ("pattern", "fits", "fails"),
    [
        (r"^(?!x)\p{L}+$", "aß", "x1"),
        (r"^(?!x)[\p{L}\d]+$", "a1", "-"),
        (r"^(?!\p{Lu})\P{N}+$", "ab", "Ab"),
        (r"^(?<n>a|b)\k<n>$", "aa", "ab"),
        (r"^(?<n>a)\\k<n>\k<n>$", r"a\k<n>a", "aa"),
        (r"^(?!x)\{e\}$", "{e}", "e"),
    ],
)
def test_ecmascript_that_needs_a_matcher_that_backtracks(
    pattern: str, fits: str, fails: str
) -> None:
    """Properties of letters and named references work beside what RE2 does not know."""
    found = Matcher(pattern)
    assert not found.is_linear
    assert found.search(fits, 1.0)
    assert not found.search(fails, 1.0)


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?=a)(?:a){e<=3}",
        r"(?=a)\\p{e<=3}",
        r"(?=a)\p{L}{e<=3}",
        r"(?=a)\p{L}(?R)",
        r"(?=a)\\(?R)?",
        r"(?=a)\k<n>",
        r"(?=a)(?<n>b)[\k<n>]",
    ],
)
def test_what_is_beyond_ecmascript_stays_out(pattern: str) -> None:
    """Likeness, recursion and references to nothing are refused, also behind an escape."""
    with pytest.raises(PatternError):
        Matcher(pattern)
