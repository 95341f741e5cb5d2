"""Attention by the kernel against exact and ggml's own, on graphs of one operation."""

from __future__ import annotations

import pytest

from tests.support.attention import POOLS, SHAPES, Attention, OpenShape, PoolShape, Shape, distance
from tests.support.ggml import Type

pytestmark = pytest.mark.usefixtures("kernels")


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_attention_is_that_of_32_bits(shape: Shape, n_threads: int) -> None:
    """As ggml's plainest code does it over cells of 32 bits; and it is not ggml that does it."""
    attention = Attention(shape)
    exact = attention.compute(are_floats=True, is_reference=True)
    made = attention.compute(n_threads=n_threads)
    assert distance(made, exact) < 3e-6
    assert made != attention.compute(is_reference=True)


@pytest.mark.parametrize(
    ("keys", "values"),
    [(Type.Q8_0, Type.Q8_0), (Type.Q8_0, Type.F16), (Type.F16, Type.Q8_0)],
    ids=["both", "keys", "values"],
)
@pytest.mark.parametrize("name", ["stretches", "a few rows", "a prompt", "wide heads"])
def test_attention_over_cells_of_8_bits_is_that_of_32(name: str, keys: Type, values: Type) -> None:
    """Of the numbers that the cells stand for; and it is not ggml that does it."""
    attention = Attention(SHAPES[name], keys, values)
    exact = attention.compute(are_floats=True, is_reference=True)
    made = attention.compute(n_threads=3)
    assert distance(made, exact) < 3e-6
    assert made != attention.compute(is_reference=True)


@pytest.mark.parametrize("name", ["stretches", "a few rows", "a prompt", "sinks", "ALiBi"])
def test_a_row_attends_alike_in_any_company(name: str) -> None:
    """To the last bit: alone or among others, and with any number of threads."""
    shape = SHAPES[name]
    attention = Attention(shape)
    together = attention.compute(n_threads=3)
    size = shape.dv * shape.heads
    for row in {0, shape.rows // 2, shape.rows - 1}:
        alone = attention.compute(range(row, row + 1))
        for stream in range(shape.streams):
            start = size * (stream * shape.rows + row)
            assert alone[size * stream : size * (stream + 1)] == together[start : start + size]


@pytest.mark.parametrize("cells", [Type.F16, Type.Q8_0], ids=lambda kind: kind.name)
@pytest.mark.parametrize("shape", POOLS.values(), ids=POOLS)
def test_sequences_of_one_beginning_attend_as_alone(shape: PoolShape, cells: Type) -> None:
    """In a pool, computed in one step: right, and to the last bit what each gets by itself."""
    attention = Attention(shape, cells, cells)
    together = attention.compute(n_threads=3)
    exact = attention.compute(are_floats=True, is_reference=True)
    assert distance(together, exact) < 3e-6
    size = shape.dv * shape.heads
    for row in {0, shape.rows // 2, shape.rows - 1}:
        alone = attention.compute(range(row, row + 1))
        assert alone == together[size * row : size * (row + 1)]


@pytest.mark.parametrize("n_cells", [1, 2, 15, 16, 17, 33, 63, 64, 65, 255, 256, 257, 321])
@pytest.mark.parametrize("n_rows", [1, 12])
def test_any_number_of_cells_is_attended_to(n_rows: int, n_cells: int) -> None:
    """Whole tiles and stretches, less, and one more; with more threads than work."""
    attention = Attention(OpenShape(rows=n_rows, heads=4, kv_heads=2, cells=n_cells))
    exact = attention.compute(are_floats=True, is_reference=True)
    assert distance(attention.compute(n_threads=5), exact) < 3e-6


@pytest.mark.parametrize("n_threads", [1, 3])
def test_without_rows_nothing_is_done(n_threads: int) -> None:
    """A step may have none that attend."""
    attention = Attention(SHAPES["one row"])
    assert list(attention.compute(range(0), n_threads=n_threads)) == []


@pytest.mark.parametrize("has_sinks", [False, True])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_without_cells_a_row_is_given_zeros(n_threads: int, has_sinks: bool) -> None:  # noqa: FBT001
    """There is nothing to see."""
    shape = Shape(rows=2, heads=4, kv_heads=2, cells=0, has_sinks=has_sinks)
    assert list(Attention(shape).compute(n_threads=n_threads)) == [0.0] * 2 * 4 * 64


def test_capped_scores_stay_with_ggml() -> None:
    """The kernel does not know them: what comes out is capped."""
    attention = Attention(Shape(rows=3, heads=4, kv_heads=2, cells=100, cap=2.0))
    exact = attention.compute(are_floats=True, is_reference=True)
    uncapped = Attention(Shape(rows=3, heads=4, kv_heads=2, cells=100)).compute()
    assert distance(attention.compute(), exact) < 1e-2
    assert distance(uncapped, exact) > 0.1
