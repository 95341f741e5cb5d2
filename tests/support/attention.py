"""Attention over cells of every layout, as graphs of one operation."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from tests.support import ggml
from tests.support.ggml import Graph, Type, graphs

HIDDEN = -math.inf


def drawn(n: int, seed: int, width: float = 1.0) -> list[float]:
    draw = random.Random(seed)  # noqa: S311
    return [draw.uniform(-width, width) for _ in range(n)]


def distance(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the difference of two results relative to the second's size."""
    apart = math.sqrt(sum((a - b) ** 2 for a, b in zip(one, other, strict=True)))
    return apart / math.sqrt(sum(b * b for b in other))


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

    is_pool: ClassVar[bool] = False

    def can_see(self, stream: int, row: int, cell: int) -> bool:
        """Causal, over a cache with holes; the streams are of different lengths."""
        length = self.cells - 7 - 70 * stream
        return cell <= length - self.rows + row and cell % 97 != 5

    def distance(self, cell: int) -> float:
        """Return what the mask adds where a cell is seen: ALiBi's distances."""
        return -(self.cells - cell) / 64 if self.max_bias else 0.0


@dataclass(frozen=True)
class PoolShape(Shape):
    """Sequences with as many rows each, in one range of cells: they share a beginning.

    After it the cells are theirs in turns, some at a time.
    """

    sequences: int = 1
    shared: int = 0
    turn: int = 5
    is_pool: ClassVar[bool] = True

    def can_see(self, stream: int, row: int, cell: int) -> bool:
        """Each sequence's last cells are those of its rows: a row sees them up to its own."""
        del stream
        each = self.rows // self.sequences
        sequence = row // each
        turns, rest = divmod(self.cells - self.shared, self.turn * self.sequences)
        n_own = turns * self.turn + min(max(rest - sequence * self.turn, 0), self.turn)
        turn, place = divmod(cell - self.shared, self.turn)
        number = turn // self.sequences * self.turn + place
        is_own = turn % self.sequences == sequence
        return cell < self.shared or (is_own and number < n_own - each + row % each + 1)


class Attention:
    """One attention's data, in cells of the types that are given."""

    def __init__(self, shape: Shape, keys: Type = Type.F16, values: Type = Type.F16) -> None:
        s = self.shape = shape
        self.queries = drawn(s.dk * s.heads * s.rows * s.streams, seed=6, width=3.0)
        n_cells = s.kv_heads * s.cells * s.streams
        self.stored = [
            (kind, width, ggml.quantised(kind, drawn(width * n_cells, seed), width))
            for kind, width, seed in ((keys, s.dk, 7), (values, s.dv, 8))
        ]
        self.sinks = drawn(s.heads, seed=9)

    def compute(
        self,
        rows: range | None = None,
        *,
        n_threads: int = 1,
        are_floats: bool = False,
        is_reference: bool = False,
    ) -> array[float]:
        """Attend with some rows alone: [row][head][d], streams one after the other.

        Cells may be ``are_floats``: the same numbers in 32 bits, which ggml adds up in 32 bits.
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
            result = self._build(graph, asked, ggml.halves(mask), len(rows), are_floats=are_floats)
            return graph.compute(result, n_threads=n_threads, is_reference=is_reference)

    def _build(
        self, graph: Graph, asked: list[float], mask: bytes, n_rows: int, *, are_floats: bool
    ) -> int:
        s = self.shape
        queries = graph.tensor(Type.F32, s.dk, s.heads, n_rows, s.streams)
        keys, values = (
            self._cells(graph, Type.F32 if are_floats else kind, width)
            for kind, width, _ in self.stored
        )
        hidden = graph.tensor(Type.F16, s.cells, n_rows, 1, s.streams)
        sinks = graph.tensor(Type.F32, s.heads) if s.has_sinks else 0
        asking, seen, given = map(graph.swap_rows_and_heads, (queries, keys, values))
        scale = 1 / math.sqrt(s.dk)
        result = graph.attention(
            asking, seen, given, hidden, scale, max_bias=s.max_bias, sinks=sinks
        )
        graph.allocate()
        ggml.write_floats(queries, asked)
        for tensor, (kind, _, data) in zip((keys, values), self.stored, strict=True):
            ggml.write(tensor, ggml.floats(kind, data) if are_floats else data)
        ggml.write(hidden, mask)
        if sinks:
            ggml.write_floats(sinks, self.sinks)
        return result

    def _cells(self, graph: Graph, kind: Type, width: int) -> int:
        """Lay a cache out as llama.cpp does: in a pool the heads of a cell are one row."""
        s = self.shape
        if not s.is_pool:
            return graph.tensor(kind, width, s.kv_heads, s.cells, s.streams)
        rows = graph.tensor(kind, width * s.kv_heads, s.cells)
        return graph.reshaped(rows, width, s.kv_heads, s.cells, 1)
