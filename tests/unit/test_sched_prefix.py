"""Common prefixes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyllama.sched.prefix import lcp


def naive_lcp(a: list[int], b: list[int]) -> int:
    for index, (left, right) in enumerate(zip(a, b, strict=False)):
        if left != right:
            return index
    return min(len(a), len(b))


@given(
    st.lists(st.integers(0, 2), max_size=200),
    st.lists(st.integers(0, 2), max_size=20),
    st.lists(st.integers(0, 2), max_size=20),
)
def test_the_prefix_is_what_a_loop_finds(shared: list[int], a: list[int], b: list[int]) -> None:
    """Whatever the lengths, the search by slices finds what a loop over both finds."""
    assert lcp(shared + a, shared + b) == naive_lcp(shared + a, shared + b)


def test_every_place_of_a_difference_is_found() -> None:
    """A difference at any one place, at the borders of the slices too, is the prefix's length."""
    tokens = list(range(300))
    for place in range(300):
        other = [*tokens[:place], -1, *tokens[place + 1 :]]
        assert lcp(tokens, other) == place
