"""The kernels against exact arithmetic and against ggml's own, on graphs of one operation."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from tests.support import ggml
from tests.support.ggml import PACKED, Graph, Type, graphs

pytestmark = pytest.mark.skipif(
    not ggml.has_packed_weights(), reason="no kernels of pyllama's for this processor"
)

TYPES = [Type.Q4_0, Type.Q4_1, Type.Q8_0, Type.Q4_K, Type.Q5_K, Type.Q6_K]
HIDDEN = -math.inf


def drawn(n: int, seed: int, width: float = 1.0) -> list[float]:
    draw = random.Random(seed)  # noqa: S311
    return [draw.uniform(-width, width) for _ in range(n)]


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the difference of two results relative to the second's size."""
    apart = math.sqrt(sum((a - b) ** 2 for a, b in zip(one, other, strict=True)))
    return apart / math.sqrt(sum(b * b for b in other))


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


@dataclass(frozen=True)
class Shape:
    """Of an attention."""

    rows: int
    heads: int
    kv_heads: int
    cells: int
    dk: int = 64
    dv: int = 64
    streams: int = 1
    max_bias: float = 0.0
    has_sinks: bool = False

    def can_see(self, stream: int, row: int, cell: int) -> bool:
        """Causal, over a cache with holes; the streams are of different lengths."""
        length = self.cells - 7 - 70 * stream
        return cell <= length - self.rows + row and cell % 97 != 5

    def distance(self, cell: int) -> float:
        """Return what the mask adds where a cell is seen: ALiBi's distances."""
        return -(self.cells - cell) / 64 if self.max_bias else 0.0


class Attention:
    """One attention's data."""

    def __init__(self, shape: Shape) -> None:
        s = self.shape = shape
        self.queries = drawn(s.dk * s.heads * s.rows * s.streams, seed=6, width=3.0)
        n_cells = s.kv_heads * s.cells * s.streams
        self.keys = ggml.halves(drawn(s.dk * n_cells, seed=7))
        self.values = ggml.halves(drawn(s.dv * n_cells, seed=8))
        self.sinks = drawn(s.heads, seed=9)

    def compute(
        self,
        rows: range | None = None,
        *,
        n_threads: int = 1,
        cells: Type = Type.F16,
        is_reference: bool = False,
    ) -> array[float]:
        """Attend with some rows alone: [row][head][d], streams one after the other.

        Cells of 32 bits hold the same numbers, and ggml adds them up in 32 bits.
        """
        s = self.shape
        rows = rows or range(s.rows)
        size = s.dk * s.heads
        asked = [
            value
            for stream in range(s.streams)
            for row in rows
            for value in self.queries[size * (stream * s.rows + row) :][:size]
        ]
        mask = [
            s.distance(cell) if s.can_see(stream, row, cell) else HIDDEN
            for stream in range(s.streams)
            for row in rows
            for cell in range(s.cells)
        ]
        with graphs("") as (graph,):
            result = self._build(graph, asked, ggml.halves(mask), len(rows), cells)
            return graph.compute(result, n_threads=n_threads, is_reference=is_reference)

    def _build(
        self, graph: Graph, asked: list[float], mask: bytes, n_rows: int, cells: Type
    ) -> int:
        s = self.shape
        queries = graph.tensor(Type.F32, s.dk, s.heads, n_rows, s.streams)
        keys = graph.tensor(cells, s.dk, s.kv_heads, s.cells, s.streams)
        values = graph.tensor(cells, s.dv, s.kv_heads, s.cells, s.streams)
        hidden = graph.tensor(Type.F16, s.cells, n_rows, 1, s.streams)
        sinks = graph.tensor(Type.F32, s.heads) if s.has_sinks else 0
        asking, seen, given = map(graph.swap_rows_and_heads, (queries, keys, values))
        scale = 1 / math.sqrt(s.dk)
        result = graph.attention(
            asking, seen, given, hidden, scale, max_bias=s.max_bias, sinks=sinks
        )
        graph.allocate()
        ggml.write_floats(queries, asked)
        for tensor, data in ((keys, self.keys), (values, self.values)):
            ggml.write(tensor, data if cells is Type.F16 else ggml.floats(data))
        ggml.write(hidden, mask)
        if sinks:
            ggml.write_floats(sinks, self.sinks)
        return result


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
    exact = attention.compute(cells=Type.F32, is_reference=True)
    assert distance(attention.compute(n_threads=n_threads), exact) < 3e-6
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
