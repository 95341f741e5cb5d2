"""The form of embeddings: what may be asked for, and how rows are scaled."""

from __future__ import annotations

import math
from array import array
from typing import Any

import pytest

from pyllama.embeddings import _listed, scaled
from pyllama.errors import EngineError, InvalidRequest
from pyllama.results import Embedding

ROW = array("f", [3.0, -4.0, 0.0])


@pytest.mark.parametrize(
    ("norm", "expected"),
    [
        (-1, [3.0, -4.0, 0.0]),
        (0, [24570.0, -32760.0, 0.0]),
        (1, [3 / 7, -4 / 7, 0.0]),
        (2, [0.6, -0.8, 0.0]),
        (3, [3 / 91 ** (1 / 3), -4 / 91 ** (1 / 3), 0.0]),
        (64, [0.75, -1.0, 0.0]),
    ],
)
def test_rows_are_scaled_to_a_norm(norm: int, expected: list[float]) -> None:
    """Each norm is llama-server's."""
    assert scaled(ROW, norm).tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("norm", [-1, 0, 1, 2, 5])
def test_zeros_stay_zeros(norm: int) -> None:
    """There is nothing to divide by."""
    assert scaled(array("f", [0.0, 0.0]), norm).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("size", [1e-30, 1e30])
@pytest.mark.parametrize("norm", [1, 2, 3, 64])
def test_scaling_neither_overflows_nor_vanishes(size: float, norm: int) -> None:
    """Powers of very large and very small numbers stay within range."""
    assert max(scaled(array("f", [size, size]), norm)) >= 0.5


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_an_error(value: float) -> None:
    """No client gets an embedding with holes."""
    with pytest.raises(EngineError, match="not finite"):
        scaled(array("f", [1.0, value]), 2)


@pytest.mark.parametrize(
    ("inputs", "sources", "paths"),
    [
        ("a", ["a"], ["input"]),
        ([1, 2], [[1, 2]], ["input"]),
        (["a", [1, 2]], ["a", [1, 2]], ["input[0]", "input[1]"]),
    ],
)
def test_inputs_have_several_forms(inputs: Any, sources: list[Any], paths: list[str]) -> None:
    """A text, token ids, or a list of these."""
    assert _listed(inputs, "input") == (sources, paths)


@pytest.mark.parametrize(
    ("inputs", "param"),
    [([], "input"), ({}, "input"), (["a", 1], "input[1]"), ([True], "input[0]"), (3, "input")],
)
def test_other_inputs_are_refused(inputs: Any, param: str) -> None:
    """The error names the place."""
    with pytest.raises(InvalidRequest) as caught:
        _listed(inputs, "input")
    assert caught.value.param == param


def test_number_of_inputs_is_bounded() -> None:
    """One request cannot hold the server for hours."""
    with pytest.raises(InvalidRequest, match="at most 2048"):
        _listed(["a"] * 2049, "input")


def test_vector_is_the_only_row() -> None:
    """Rows of tokens are no vector."""
    assert Embedding(rows=(ROW,), n_tokens=1).vector == ROW
    with pytest.raises(ValueError, match="too many"):
        _ = Embedding(rows=(ROW, ROW), n_tokens=2).vector
