"""The stand-in for AVX-512 gives what AVX-512 gives, and stands in nowhere else."""

from __future__ import annotations

import sys

import pytest

from pyllama._ext import backend
from tests.support.attention import POOLS, SHAPES, Attention, Shape
from tests.support.ggml import Type
from tests.support.products import TYPES, drawn_rows, products
from tests.support.stand_in import PROCESSORS, StandIn, library, processor_flags

NEEDED = {"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni"}

has_kernels = pytest.mark.skipif(
    backend.use_kernels() == "", reason="without AVX-512 there is nothing to compare it with"
)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernels are for Linux")
@pytest.mark.skipif(not library.has_kernels(), reason="this build is without the kernels")
def test_a_processor_with_the_instructions_has_the_kernels() -> None:
    """So that the tests that could use the stand-in do not hide that these are gone."""
    assert (backend.use_kernels() == "avx512") == (processor_flags() >= NEEDED)


@has_kernels
@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
@pytest.mark.parametrize("n_rows", [1, 11])
def test_its_products_are_the_same_to_the_last_bit(
    stand_in: StandIn, kind: Type, n_rows: int
) -> None:
    """Of every format, for few rows and for more than are multiplied at once."""
    rows = drawn_rows(n_rows, 512, seed=2)
    n_before = stand_in.n_taken
    with stand_in.on() as memory:
        its = products(memory, kind, 48, rows, 2)
    assert stand_in.n_taken > n_before
    assert products(PROCESSORS, kind, 48, rows, 2).packed == its.packed


@has_kernels
@pytest.mark.parametrize("name", [*SHAPES, *POOLS])
def test_its_attention_is_the_same_to_the_last_bit(stand_in: StandIn, name: str) -> None:
    """Of every shape, over cells of 16 bits and of eight."""
    shape: Shape = {**SHAPES, **POOLS}[name]
    for kind in [Type.F16, Type.Q8_0] if shape.dk % 32 == shape.dv % 32 == 0 else [Type.F16]:
        attention = Attention(shape, kind, kind)
        n_before = stand_in.n_taken
        with stand_in.on():
            its = attention.compute(n_threads=2)
        n_after = stand_in.n_taken
        assert attention.compute(n_threads=2) == its
        assert stand_in.n_taken == n_after > n_before
