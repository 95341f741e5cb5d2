"""Patterns of a schema: what the grammar can hold, and what Python could not match in time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllama.text import pattern


@pytest.mark.parametrize(
    ("given_pattern", "wanted"),
    [
        (r"^\d{3}-\d{4}$", r"^[0-9]{3}-[0-9]{4}$"),
        (r"^(?:foo|bar)$", r"^(foo|bar)$"),
        (r"^\w+\.txt$", r"^[A-Za-z0-9_]+\.txt$"),
        (r"^[\d.]*$", r"^[0-9.]*$"),
        (r"^.$", r"^[^\"\\\x00-\x1F\x7F]$"),
        (r"^[^a]$", r"^[^a\"\\\x00-\x1F\x7F]$"),
        (r"^[^a-]$", r"^[^a\-\"\\\x00-\x1F\x7F]$"),
        (r"^[\^a]$", r"^[\x5Ea]$"),
        (r"^[.-a]$", r"^[\x2E-\U0000005B\x5D-\U00000061]$"),
    ],
)
def test_a_pattern_is_rewritten(given_pattern: str, wanted: str) -> None:
    """Classes by letter become ranges, and nothing matches what JSON would escape."""
    assert pattern.rewritten(given_pattern) == wanted


@pytest.mark.parametrize(
    "text",
    ["a", "^a", r"^\s$", r"^(a)\1$", "^(?=a)$", "^a*?$", '^"$', r"^\\$", "^(a$", "^a)$", "^*$",
     "^[a$", "^[]$", "^a{1000}$", "^" + "a" * 600 + "$", "^a{,2}$", "^(*a)$", "^a^b$"],
)  # fmt: skip
def test_what_has_no_equivalent_is_left_out(text: str) -> None:
    """The grammar then takes any string, and the check at the end decides."""
    assert pattern.rewritten(text) is None


@pytest.mark.parametrize(
    "text", [r"^(a+)+$", r"(a|a)*b", r"((a|b)*)*", r"(\d+,?)*x", r"^(-?[a-z]+)*$", r"(.*a){20,}"]
)
def test_exponential_patterns_are_seen(text: str) -> None:
    """A repeated group with several ways to divide a text is refused."""
    assert pattern.may_explode(text)


@pytest.mark.parametrize(
    "text", [r"^[a-z0-9]+(?:-[a-z0-9]+)*$", r"^(foo|bar)*$", r"^(a|b){1,3}$", r"^\(+$", r"[(+)]*"]
)
def test_usual_patterns_pass(text: str) -> None:
    """Groups whose rounds begin with a letter of their own divide a text in one way."""
    assert not pattern.may_explode(text)


ATOMS = [
    *"ab1 -,", r"\d", r"\w", r"\.", r"\-", ".", "[ab]", "[^a]", r"[\d.]", "[a-c]", "[1-]", "[-a]",
    r"[\]^]", r"[\^a]", r"[^^]", r"[^\w\]-]", r"[^a\-]", "[ -~]", r"[\^-b]", r"[!-\]]", "[^ -b]",
]  # fmt: skip
REPEATS = ["*", "+", "?", "{2}", "{1,}", "{0,2}"]
# No character that JSON escapes: those are what a rewritten pattern leaves out on purpose.
PLAIN = "abc12_ .-,()]^|Z"


def grown(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Make greater patterns of smaller ones."""
    in_a_row = st.lists(parts, min_size=1, max_size=4).map("".join)
    groups = st.builds("{}{})".format, st.sampled_from(["(", "(?:"]), in_a_row)
    repeated = st.builds("{}{}".format, groups, st.sampled_from(REPEATS))
    return in_a_row | groups | repeated


ONES = st.sampled_from(ATOMS)
REPEATED = st.builds("{}{}".format, ONES, st.sampled_from(REPEATS))
PATTERNS = st.recursive(ONES | REPEATED | st.sampled_from([r"\(", "|"]), grown, max_leaves=8)


@given(PATTERNS, st.lists(st.text(PLAIN, max_size=5), min_size=9, max_size=9))
def test_a_rewritten_pattern_takes_the_same_texts(body: str, texts: list[str]) -> None:
    """What the grammar lets through is what the check accepts, and the other way round."""
    found = pattern.rewritten(f"^{body}$")
    assert found is not None
    theirs, ours = re.compile(body, re.ASCII), re.compile(found[1:-1])
    for text in [*PLAIN, *texts]:
        assert (ours.fullmatch(text) is None) == (theirs.fullmatch(text) is None), text
    assert not any(ours.fullmatch(char) for char in '"\\\n\x00\x7f')


@given(st.from_regex(r"\^[ab.\\d()|*+?{}1,\[\]^-]{0,12}\$", fullmatch=True))
def test_any_pattern_is_rewritten_or_left_out(text: str) -> None:
    """What comes out of any text at all is nothing, or a pattern where a pattern went in."""
    pattern.may_explode(text)
    found = pattern.rewritten(text)
    if found is not None:
        try:
            re.compile(text)
        except re.error:
            return
        re.compile(found)
