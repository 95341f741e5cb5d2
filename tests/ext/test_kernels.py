"""The kernels against exact arithmetic and against ggml's own, on graphs of one operation."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import pytest

from tests.support import ggml
from tests.support.attention import Attention, PoolShape, Shape, distance, drawn
from tests.support.ggml import PACKED, Type, graphs

pytestmark = ggml.needs_kernels

TYPES = [Type.Q4_0, Type.Q4_1, Type.Q8_0, Type.Q4_K, Type.Q5_K, Type.Q6_K]


@dataclass
class Products:
    """One product three times: by the kernel, by ggml, and with weights and rows as floats."""

    packed: array[float]
    plain: array[float]
    exact: array[float]


def products(
    kind: Type, n_columns: int, n_weights: int, rows: list[float], n_threads: int
) -> Products:
    data = ggml.quantised(kind, drawn(n_columns * n_weights, seed=1), n_columns)
    n_rows = len(rows) // n_columns
    with graphs(PACKED, "") as (held, graph):
        weights = [
            held.tensor(kind, n_columns, n_weights),
            graph.tensor(kind, n_columns, n_weights),
        ]
        inputs = graph.tensor(Type.F32, n_columns, n_rows)
        held.allocate()
        results = [graph.product(each, inputs) for each in (*weights, graph.wide(weights[1]))]
        graph.allocate()
        for each in weights:
            ggml.write(each, data)
        ggml.write_floats(inputs, rows)
        return Products(*(graph.compute(result, n_threads=n_threads) for result in results))


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
@pytest.mark.parametrize(
    ("n_rows", "n_weights", "n_threads"),
    [(1, 16, 1), (2, 48, 2), (5, 576, 3), (8, 64, 2), (9, 80, 2), (37, 128, 3), (600, 16, 2)],
)
def test_a_product_is_no_further_from_the_exact_one_than_ggmls(
    kind: Type, n_rows: int, n_weights: int, n_threads: int
) -> None:
    """Whatever the number of rows, of threads, and of packs that these share."""
    n_columns = 512
    made = products(kind, n_columns, n_weights, drawn(n_columns * n_rows, seed=2), n_threads)
    ours, theirs = distance(made.packed, made.exact), distance(made.plain, made.exact)
    assert 0 < ours <= 1.1 * theirs + 1e-6 < 0.02


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_a_row_has_the_same_product_in_any_company(kind: Type) -> None:
    """To the last bit: alone, among others, with more threads."""
    rows = drawn(256 * 11, seed=3)
    all_rows = products(kind, 256, 32, rows, 3).packed
    for i in (0, 7, 8, 10):
        alone = products(kind, 256, 32, rows[256 * i : 256 * (i + 1)], 1).packed
        assert alone == all_rows[32 * i : 32 * (i + 1)]


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_rows_of_zeros_and_of_great_numbers_are_multiplied(kind: Type) -> None:
    """Zeros give zeros; a great number does not drown the row beside it."""
    rows = [0.0] * 256 + drawn(256, seed=4, width=1e4) + drawn(256, seed=5, width=1e-4)
    made = products(kind, 256, 16, rows, 1)
    assert list(made.packed[:16]) == [0.0] * 16
    for start in (16, 32):
        assert distance(made.packed[start : start + 16], made.exact[start : start + 16]) < 0.02


SHAPES = {
    "one row": Shape(rows=1, heads=9, kv_heads=3, cells=256),
    "stretches": Shape(rows=1, heads=9, kv_heads=3, cells=1280, streams=3),
    "a few rows": Shape(rows=5, heads=6, kv_heads=3, cells=700),
    "a prompt": Shape(rows=70, heads=6, kv_heads=2, cells=520),
    "no groups": Shape(rows=3, heads=8, kv_heads=8, cells=300, dk=80, dv=80),
    "wide heads": Shape(rows=2, heads=8, kv_heads=2, cells=300, dk=128, dv=128),
    "other values": Shape(rows=9, heads=4, kv_heads=4, cells=256, dk=96, dv=48),
    "one KV head": Shape(rows=3, heads=4, kv_heads=1, cells=256, dk=256, dv=256),
    "sinks": Shape(rows=3, heads=8, kv_heads=2, cells=400, has_sinks=True),
    "ALiBi": Shape(rows=3, heads=12, kv_heads=12, cells=600, max_bias=8.0),
    "nothing seen": Shape(rows=4, heads=2, kv_heads=1, cells=64, streams=2),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_attention_is_that_of_32_bits(shape: Shape, n_threads: int) -> None:
    """As ggml's plainest code does it over cells of 32 bits; over 16, it adds up in 16."""
    attention = Attention(shape)
    exact = attention.compute(are_floats=True, is_reference=True)
    assert distance(attention.compute(n_threads=n_threads), exact) < 3e-6
    assert distance(attention.compute(is_reference=True), exact) > 1e-4


@pytest.mark.parametrize(
    ("keys", "values"),
    [(Type.Q8_0, Type.Q8_0), (Type.Q8_0, Type.F16), (Type.F16, Type.Q8_0)],
    ids=["both", "keys", "values"],
)
@pytest.mark.parametrize("name", ["stretches", "a few rows", "a prompt", "wide heads"])
def test_attention_over_cells_of_8_bits_is_that_of_32(name: str, keys: Type, values: Type) -> None:
    """Of the numbers that the cells stand for; ggml rounds the queries as well."""
    attention = Attention(SHAPES[name], keys, values)
    exact = attention.compute(are_floats=True, is_reference=True)
    assert distance(attention.compute(n_threads=3), exact) < 3e-6
    assert distance(attention.compute(is_reference=True), exact) > 1e-4


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


POOLS = {
    "decoding": PoolShape(rows=3, heads=9, kv_heads=3, cells=1100, sequences=3, shared=600),
    "ends of prompts": PoolShape(
        rows=8, heads=6, kv_heads=2, cells=900, sequences=2, shared=300, turn=7
    ),
    "little shared": PoolShape(rows=12, heads=4, kv_heads=4, cells=640, sequences=3, shared=20),
    "prompts": PoolShape(rows=80, heads=6, kv_heads=2, cells=700, sequences=2, shared=512, turn=3),
}


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
