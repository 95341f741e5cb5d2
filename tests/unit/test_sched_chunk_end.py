"""Where a chunk of a prompt ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyllama.sched.chunk_end import aligned_count

# What llama.cpp attends to at once, and what its kernel for attention takes at once.
CELLS, ROWS = 256, 64

ubatches = st.sampled_from([512, 1024, 2048])


def ends_near(start: int, n_wanted: int, grid: int) -> bool:
    """Whether a boundary lies within a tenth of what was wanted."""
    end = start + n_wanted
    return min(end % grid, -end % grid) <= n_wanted / 10


@given(start=st.integers(0, 5000), n_wanted=st.integers(1, 3000), n_ubatch=ubatches)
def test_a_chunk_ends_on_the_widest_boundary_nearby(
    start: int, n_wanted: int, n_ubatch: int
) -> None:
    """That of a ubatch before one of cells before one of rows, where it costs a tenth at most."""
    end = start + aligned_count(start, n_wanted, n_pending=9000, n_ubatch=n_ubatch)
    grid = next((grid for grid in (n_ubatch, CELLS, ROWS) if ends_near(start, n_wanted, grid)), 1)
    assert end % grid == 0


@given(n_wanted=st.integers(ROWS, 3000), n_ubatch=ubatches)
def test_the_last_few_tokens_come_along(n_wanted: int, n_ubatch: int) -> None:
    """A prompt that nearly fits ends in this step instead of in another one."""
    for n_pending in range(max(n_wanted - 10, 1), n_wanted + n_wanted // 10):
        assert aligned_count(0, n_wanted, n_pending, n_ubatch) == n_pending


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
