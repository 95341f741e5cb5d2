"""Where a chunk of a prompt ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllama.sched.chunk_end import aligned_count


@pytest.mark.parametrize(
    ("start", "n_wanted", "count"),
    [
        (0, 1100, 1024),
        (0, 950, 1024),
        (0, 900, 768),
        (128, 1100, 896),
        (1024, 300, 256),
        (1280, 200, 192),
        (1280, 118, 128),
        (0, 110, 128),
        (0, 100, 64),
        (100, 70, 70),
        (0, 40, 40),
    ],
)
def test_a_chunk_ends_on_the_widest_grid_nearby(start: int, n_wanted: int, count: int) -> None:
    """A whole ubatch if three quarters of the tokens are left, else 256 cells, else 64 rows."""
    assert aligned_count(start, n_wanted, n_pending=9000, n_ubatch=512) == count


def test_the_last_few_tokens_come_along() -> None:
    """A prompt that nearly fits ends in this step instead of in another one."""
    assert aligned_count(0, 500, n_pending=560, n_ubatch=512) == 560
    assert aligned_count(0, 500, n_pending=570, n_ubatch=512) == 512


@given(
    start=st.integers(0, 5000),
    n_wanted=st.integers(1, 3000),
    n_pending=st.integers(1, 5000),
    n_ubatch=st.sampled_from([1, 7, 64, 512, 2048]),
)
def test_a_chunk_is_about_what_was_wanted(
    start: int, n_wanted: int, n_pending: int, n_ubatch: int
) -> None:
    """Never nothing, never more than is left, within half below and a fifth above."""
    count = aligned_count(start, n_wanted, n_pending, n_ubatch)
    assert 1 <= count <= n_pending
    assert min(n_pending, 0.5 * n_wanted) <= count <= 1.2 * n_wanted
