"""Attention over cells of every layout, as graphs of one operation."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import ClassVar

from tests.support import ggml
from tests.support.ggml import Graph, Type, graphs

HIDDEN = -math.inf


def drawn(n: int, seed: int, width: float = 1.0) -> list[float]:
    draw = random.Random(seed)  # noqa: S311
    return [width * (2 * draw.random() - 1) for _ in range(n)]


@lru_cache(maxsize=32)
def drawn_cells(kind: Type, width: int, n_cells: int, seed: int) -> bytes:
    """Draw cells as wide as one head."""
    return ggml.quantised(kind, drawn(width * n_cells, seed), width)


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
    cap: float = 0.0

    is_pool: ClassVar[bool] = False

    def can_see(self, stream: int, row: int, cell: int) -> bool:
        """Causal, over a cache with holes; the streams are of different lengths."""
        length = self.cells - 7 - 70 * stream
        return cell <= length - self.rows + row and cell % 97 != 5

    def distance(self, cell: int) -> float:
        """Return what the mask adds where a cell is seen: ALiBi's distances."""
        return -(self.cells - cell) / 64 if self.max_bias else 0.0


@dataclass(frozen=True)
class OpenShape(Shape):
    """Where each row sees all cells."""

    def can_see(self, stream: int, row: int, cell: int) -> bool:
        del stream, row, cell
        return True


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

POOLS = {
    "decoding": PoolShape(rows=3, heads=9, kv_heads=3, cells=1100, sequences=3, shared=600),
    "ends of prompts": PoolShape(
        rows=8, heads=6, kv_heads=2, cells=900, sequences=2, shared=300, turn=7
    ),
    "little shared": PoolShape(rows=12, heads=4, kv_heads=4, cells=640, sequences=3, shared=20),
    "prompts": PoolShape(rows=80, heads=6, kv_heads=2, cells=700, sequences=2, shared=512, turn=3),
}


@cache
def sight(shape: Shape) -> list[list[list[bool]]]:
    """Return which cells each row of each stream sees."""
    return [
        [
            [shape.can_see(stream, row, cell) for cell in range(shape.cells)]
            for row in range(shape.rows)
        ]
        for stream in range(shape.streams)
    ]


class Attention:
    """One attention's data, in cells of the types that are given."""

    def __init__(self, shape: Shape, keys: Type = Type.F16, values: Type = Type.F16) -> None:
        s = self.shape = shape
        self.queries = drawn(s.dk * s.heads * s.rows * s.streams, seed=6, width=3.0)
        n_cells = s.kv_heads * s.cells * s.streams
        self.stored = [
            (kind, width, drawn_cells(kind, width, n_cells, seed))
            for kind, width, seed in ((keys, s.dk, 7), (values, s.dv, 8))
        ]
        self.sinks = drawn(s.heads, seed=9)

    def spoil(self, keys: bytes, values: bytes, is_spoilt: Callable[[int, int], bool]) -> None:
        """Write two bytes over the cells that ``is_spoilt`` names by stream and number.

        All numbers of 16 bits are these then, or the scales of all numbers of 8.
        """
        s = self.shape
        spoilt = []
        for (kind, width, data), number in zip(self.stored, (keys, values), strict=True):
            unit = number if kind is Type.F16 else number + bytes(range(1, 33))
            size = len(data) // (s.cells * s.streams)
            parts = [
                unit * (size // len(unit)) if is_spoilt(*divmod(cell, s.cells))
                else data[cell * size : (cell + 1) * size]
                for cell in range(s.cells * s.streams)
            ]  # fmt: skip
            spoilt.append((kind, width, b"".join(parts)))
        self.stored = spoilt

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
        rows = range(s.rows) if rows is None else rows
        size = s.dk * s.heads
        asked = [
            value
            for stream in range(s.streams)
            for row in rows
            for value in self.queries[size * (stream * s.rows + row) :][:size]
        ]
        mask = [
            s.distance(cell) if is_seen else HIDDEN
            for stream in sight(s)
            for row in rows
            for cell, is_seen in enumerate(stream[row])
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
            asking, seen, given, hidden, scale, max_bias=s.max_bias, cap=s.cap, sinks=sinks
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
