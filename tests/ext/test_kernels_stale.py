"""Cells that a row does not see may hold anything: what they hold does not reach it."""

from __future__ import annotations

import math

import pytest

from tests.support.attention import POOLS, SHAPES, Attention, Shape, sight
from tests.support.ggml import Type

pytestmark = pytest.mark.usefixtures("kernels")

ALL = {**SHAPES, **POOLS}
INFINITE, NEGATIVE, NO_NUMBER = b"\x00\x7c", b"\x00\xfc", b"\x01\x7e"
STALE = {
    "values": (b"\x00\x3c", INFINITE),
    "values that are none": (b"\x00\x3c", NO_NUMBER),
    "keys": (INFINITE, b"\x00\x3c"),
    "keys that are none": (NO_NUMBER, b"\x00\x3c"),
    "both": (NEGATIVE, NEGATIVE),
}
each_stale = pytest.mark.parametrize("stale", STALE.values(), ids=STALE)


def seeing(shape: Shape, stream: int, cell: int) -> list[int]:
    return [row for row, seen in enumerate(sight(shape)[stream]) if seen[cell]]


def kinds(shape: Shape) -> list[Type]:
    """Return the types that have cells of a shape; Q8_0 has blocks of 32 numbers."""
    has_blocks = shape.dk % 32 == shape.dv % 32 == 0
    return [Type.F16, Type.Q8_0] if has_blocks else [Type.F16]


@each_stale
@pytest.mark.parametrize("shape", ALL.values(), ids=ALL)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_what_no_row_sees_changes_no_bit(
    shape: Shape, stale: tuple[bytes, bytes], n_threads: int
) -> None:
    """Holes, other sequences' cells, all beyond the end: whatever was there before."""
    for kind in kinds(shape):
        attention = Attention(shape, kind, kind)
        clean = attention.compute(n_threads=n_threads)
        attention.spoil(*stale, lambda stream, cell: not seeing(shape, stream, cell))
        assert attention.compute(n_threads=n_threads) == clean


@each_stale
@pytest.mark.parametrize("shape", ALL.values(), ids=ALL)
def test_what_some_rows_see_changes_no_bit_of_the_others(
    shape: Shape, stale: tuple[bytes, bytes]
) -> None:
    """And those that see it are given no number."""
    size = shape.dv * shape.heads
    for kind in kinds(shape):
        attention = Attention(shape, kind, kind)
        clean = attention.compute()
        cells = [
            max((cell for cell, is_seen in enumerate(rows[-1]) if is_seen), default=-1)
            for rows in sight(shape)
        ]
        attention.spoil(*stale, lambda stream, cell: cell == cells[stream])  # noqa: B023
        spoilt = attention.compute(n_threads=2)
        for stream, cell in enumerate(cells):
            seers = seeing(shape, stream, cell)
            for row in range(shape.rows):
                start = size * (stream * shape.rows + row)
                its = spoilt[start : start + size]
                if row in seers:
                    assert not any(map(math.isfinite, its))
                else:
                    assert its == clean[start : start + size]
