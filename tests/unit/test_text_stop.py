"""Stop strings, wherever the text is cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllama.text import StopMatcher
from tests.support import strategies


def naive(text: str, stops: list[str]) -> tuple[str, str | None]:
    """Return what must come out: the first string to be complete, the longest of a kind."""
    for end in range(1, len(text) + 1):
        ending = [stop for stop in stops if text[:end].endswith(stop)]
        if ending:
            longest = max(ending, key=len)
            return text[: end - len(longest)], longest
    return text, None


def run(matcher: StopMatcher, pieces: list[str]) -> str:
    return "".join([matcher.feed(piece) for piece in pieces]) + matcher.flush()


@given(st.data(), strategies.letters, strategies.stops)
def test_cuts_play_no_part(data: Any, text: str, stops: list[str]) -> None:
    """However a text comes in pieces, what comes out is what a look at each end of it finds."""
    matcher = StopMatcher(stops)
    passed = run(matcher, data.draw(strategies.cuts(text)))
    assert (passed, matcher.matched) == naive(text, stops)


@given(st.data(), strategies.letters, strategies.stops)
def test_nothing_is_held_without_need(data: Any, text: str, stops: list[str]) -> None:
    """What is held back is always the beginning of some stop string."""
    matcher = StopMatcher(stops)
    fed = passed = ""
    for piece in data.draw(strategies.cuts(text)):
        fed += piece
        passed += matcher.feed(piece)
        if matcher.matched is None:
            assert fed.startswith(passed)
            held = fed[len(passed) :]
            assert not held or any(stop.startswith(held) for stop in stops)


@pytest.mark.parametrize(
    ("pieces", "passed", "matched"),
    [
        (["abcd"], "a", "bc"),
        (["ab", "cd"], "a", "bc"),
        (["abx"], "abx", None),
        (["x", "ab"], "xab", None),
    ],
)
def test_the_first_string_to_be_complete_counts(
    pieces: list[str], passed: str, matched: str | None
) -> None:
    """A string inside of a longer one stops the text before the longer one could be complete."""
    matcher = StopMatcher(["abcd", "bc"])
    assert run(matcher, pieces) == passed
    assert matcher.matched == matched


def test_after_the_match_nothing_passes() -> None:
    """Text behind a stop string is dropped, in the same piece and in later ones."""
    matcher = StopMatcher(["\n\n"])
    assert run(matcher, ["one\n", "\ntwo", "three"]) == "one"
    assert matcher.matched == "\n\n"


def test_without_stop_strings_text_passes_at_once() -> None:
    """Nothing is held back where nothing can stop the text."""
    matcher = StopMatcher([])
    assert matcher.feed("abc") == "abc"
    assert matcher.flush() == ""
