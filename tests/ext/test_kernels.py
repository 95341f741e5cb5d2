"""Products by the kernels against exact ones, on graphs of one operation."""

from __future__ import annotations

import math

import pytest

from tests.support.attention import distance, drawn
from tests.support.ggml import Type, graphs
from tests.support.products import NEAR, ROUNDED, TYPES, cut, drawn_rows, furthest, products

each_kind = pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)


@each_kind
@pytest.mark.parametrize(
    ("n_rows", "n_weights", "n_threads"),
    [
        (1, 16, 1),
        (1, 16, 9),
        (2, 48, 2),
        (5, 576, 3),
        (8, 64, 2),
        (9, 80, 2),
        (37, 128, 3),
        (600, 16, 2),
    ],
)
def test_a_product_is_as_exact_as_eight_bits_allow(
    kernels: str, kind: Type, n_rows: int, n_weights: int, n_threads: int
) -> None:
    """Whatever the number of rows, of threads, and of packs that these share."""
    made = products(kernels, kind, n_weights, drawn_rows(n_rows, 512, seed=2), n_threads)
    assert 0 < distance(made.packed, made.exact) <= ROUNDED


@each_kind
def test_a_row_has_the_same_product_in_any_company(kernels: str, kind: Type) -> None:
    """To the last bit: alone, among others, with more threads."""
    rows = drawn_rows(11, 256, seed=3)
    together = cut(products(kernels, kind, 32, rows, 3).packed, 32)
    for i in (0, 7, 8, 10):
        assert products(kernels, kind, 32, rows[i : i + 1]).packed == together[i]


@each_kind
@pytest.mark.parametrize("exponent", [-30, -20, -10, -7, -6, -5, 0, 5, 7, 10, 20, 30])
def test_a_product_is_near_the_exact_one_at_every_scale(
    kernels: str, kind: Type, exponent: int
) -> None:
    """The input's numbers may be as small or as great as they like."""
    rows = drawn_rows(3, 256, seed=4, width=10.0**exponent)
    assert 0 < furthest(kernels, kind, rows) <= NEAR


@each_kind
@pytest.mark.parametrize("length", [1, 32, 100])
def test_a_row_of_many_scales_has_a_product_near_the_exact_one(
    kernels: str, kind: Type, length: int
) -> None:
    """Runs of numbers of one scale, from 1e-24 to 1e24, and a row of one number alone."""
    scales = drawn(256, seed=5, width=24.0)
    numbers = zip(drawn(256, seed=6), range(256), strict=True)
    mixed = [value * 10 ** scales[i // length] for value, i in numbers]
    lonely = [0.0] * 200 + [-3e-9] + [0.0] * 55
    assert furthest(kernels, kind, [mixed, lonely, mixed[::-1]]) <= NEAR


@each_kind
def test_zeros_and_what_counts_as_such_give_zeros(kernels: str, kind: Type) -> None:
    """Numbers below 1e-37 are taken for zeros, down to the smallest that there is."""
    tiny = [drawn(256, seed=7, width=width) for width in (1e-37, 1e-39, 1e-42, 1e-45)]
    made = products(kernels, kind, 16, [[0.0] * 256, [-0.0] * 256, *tiny])
    assert list(made.packed) == [0.0] * 16 * 6


@each_kind
@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan], ids=str)
@pytest.mark.parametrize("place", [0, 31, 100, 255])
def test_a_row_with_what_is_no_number_gives_none(
    kernels: str, kind: Type, value: float, place: int
) -> None:
    """Wherever it stands; the rows beside it have the bits that they have without it."""
    rows = drawn_rows(3, 256, seed=8)
    before = cut(products(kernels, kind, 16, rows).packed, 16)
    rows[1][place] = value
    after = cut(products(kernels, kind, 16, rows).packed, 16)
    assert (after[0], after[2]) == (before[0], before[2])
    assert all(map(math.isnan, after[1]))


@each_kind
@pytest.mark.parametrize(("n_weights", "n_rows"), [(16, 0), (0, 2), (0, 0)])
def test_where_nothing_is_to_be_multiplied_nothing_is_done(
    kernels: str, kind: Type, n_weights: int, n_rows: int
) -> None:
    """No rows, or no weights, give no products."""
    with graphs(kernels, "") as (held, graph):
        weights = held.tensor(kind, 256, n_weights)
        rows = graph.tensor(Type.F32, 256, n_rows)
        held.allocate()
        product = graph.product(weights, rows)
        graph.allocate()
        assert list(graph.compute(product, n_threads=2)) == []
