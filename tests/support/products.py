"""Products of quantised weights and rows of input, as graphs of one operation."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul

from tests.support import ggml
from tests.support.attention import drawn
from tests.support.ggml import Type, graphs

TYPES = [Type.Q4_0, Type.Q4_1, Type.Q8_0, Type.Q4_K, Type.Q5_K, Type.Q6_K]

# How far from the exact product one may be, relative to the norms of its two rows: 32 numbers that
# share a scale are each rounded by up to half of the 127th part of the greatest of them, and that
# is at most their norm.
NEAR = math.sqrt(32) / 254

# How far products are from the exact ones on average, relative to their size, where the input is
# drawn evenly: the mean square of what is rounded off is to that of the numbers as half a step is
# to the greatest of them. Somewhat more, since it is few of them that are looked at.
ROUNDED = 1.25 / 254


@dataclass
class Products:
    """One product by the kernel, and with weights and rows as floats; the weights' rows as such."""

    packed: array[float]
    exact: array[float]
    weights: list[array[float]]


def products(
    memory: str, kind: Type, n_weights: int, rows: Sequence[Sequence[float]], n_threads: int = 1
) -> Products:
    """Multiply drawn weights, held in memory of that name, with rows of one length."""
    n_columns = len(rows[0])
    data = ggml.quantised(kind, drawn(n_columns * n_weights, seed=1), n_columns)
    with graphs(memory, "") as (held, graph):
        weights = held.tensor(kind, n_columns, n_weights)
        same = graph.tensor(kind, n_columns, n_weights)
        inputs = graph.tensor(Type.F32, n_columns, len(rows))
        held.allocate()
        wide = graph.wide(same)
        results = [graph.product(each, inputs) for each in (weights, wide)]
        graph.allocate()
        for each in (weights, same):
            ggml.write(each, data)
        ggml.write_floats(inputs, [value for row in rows for value in row])
        packed, exact = (graph.compute(each, n_threads=n_threads) for each in results)
        return Products(packed, exact, cut(graph.compute(wide), n_columns))


def drawn_rows(n_rows: int, n_columns: int, seed: int, width: float = 1.0) -> list[list[float]]:
    """Draw as many rows of input."""
    values = drawn(n_rows * n_columns, seed, width)
    return [values[start : start + n_columns] for start in range(0, len(values), n_columns)]


def cut(values: array[float], size: int) -> list[array[float]]:
    """Cut a tensor into its rows."""
    return [values[start : start + size] for start in range(0, len(values), size)]


def furthest(memory: str, kind: Type, rows: Sequence[Sequence[float]]) -> float:
    """Return how far a product is from the exact one at most, relative to its rows' norms."""
    inputs = [array("f", row) for row in rows]
    made = products(memory, kind, 16, inputs)
    return max(
        abs(value - math.fsum(map(mul, weight, row))) / (math.hypot(*weight) * math.hypot(*row))
        for row, values in zip(inputs, cut(made.packed, 16), strict=True)
        for weight, value in zip(made.weights, values, strict=True)
    )
