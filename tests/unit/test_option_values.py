"""Values of options as clients write them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllama.errors import InvalidRequest
from pyllama.option_values import DEFAULT_SAMPLERS
from pyllama.params import GenerationParams

DEFAULTS = GenerationParams()

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4) | st.integers(), inner)
    ),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (["top_k", "temperature"], ("top_k", "temperature")),
        (["Top-K", "temp", "typical_p", "nucleus"], ("top_k", "temperature", "typ_p", "top_p")),
        ("top_k;top_p", ("top_k", "top_p")),
        ("edskypmxt", DEFAULT_SAMPLERS),
        ("a", ("adaptive_p",)),
        ([], ()),
    ],
)
def test_samplers_have_names_and_letters(value: Any, names: tuple[str, ...]) -> None:
    """A list of names, names with semicolons, or llama.cpp's string of letters."""
    assert DEFAULTS.with_options(samplers=value).sampling.samplers == names


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (["tempratur"], "unknown sampler 'tempratur'; did you mean 'temperature'"),
        (["infill"], "unknown sampler 'infill'"),
        (["q"], "there are penalties, dry"),
        ("", "unknown sampler ''"),
        (["top_k"] * 33, "more than 32"),
        ([1], "list of strings"),
    ],
)
def test_unknown_samplers_are_refused(value: Any, reason: str) -> None:
    """A sampler that does not exist is answered with the nearest one that does."""
    with pytest.raises(InvalidRequest, match=reason) as caught:
        DEFAULTS.with_options(samplers=value)
    assert caught.value.param == "samplers"


@pytest.mark.parametrize(
    ("value", "biases"),
    [
        ({5: 1}, ((5, 1.0),)),
        ({"5": -100, "3": False}, ((3, -math.inf), (5, -100.0))),
        ([[5, 1.5], [5, 1]], ((5, 2.5),)),
        ([[5, -math.inf], [5, 1]], ((5, -math.inf),)),
        ({}, ()),
        (None, ()),
    ],
)
def test_biases_are_mappings_or_pairs(value: Any, biases: tuple[tuple[int, float], ...]) -> None:
    """Token ids as integers or text; biases of one token add up; false bans."""
    assert DEFAULTS.with_options(logit_bias=value).sampling.logit_bias == biases


@pytest.mark.parametrize(
    "value",
    [
        {5: math.nan},
        {5: math.inf},
        {5: 1e7},
        {5: 10**400},
        {5: True},
        {5: None},
        {5: "1"},
        {-1: 1},
        {"-1": 1},
        {"x": 1},
        {"9" * 5000: 1},
        {2**31: 1},
        {True: 1},
        {1.5: 1},
        [5],
        [[5]],
        [[5, 1, 2]],
        "51",
        7,
    ],
)
def test_biases_that_are_none_are_refused(value: Any) -> None:
    """What is no number, no token id or no pair is InvalidRequest with the field's name."""
    with pytest.raises(InvalidRequest, match="logit_bias") as caught:
        DEFAULTS.with_options(logit_bias=value)
    assert caught.value.param == "logit_bias"


@pytest.mark.parametrize("value", [[""], ["a\0b"], ["x" * 41], ["é" * 21], ["x"] * 33, [5], 5])
def test_breakers_that_llama_would_change_are_refused(value: Any) -> None:
    """Empty, cut and too many sequence breakers are refused with the field's name."""
    with pytest.raises(InvalidRequest, match="dry_sequence_breakers"):
        DEFAULTS.with_options(dry_sequence_breakers=value)


@pytest.mark.parametrize("name", ["samplers", "logit_bias", "dry_sequence_breakers", "logprobs"])
@given(value=anything)
def test_whatever_comes_is_honoured_or_refused(name: str, value: Any) -> None:
    """Any value is either InvalidRequest, or reads back as JSON that gives the same parameters."""
    refused_for = None
    try:
        params = DEFAULTS.with_options(**{name: value})
    except InvalidRequest as error:
        refused_for = error.param
    if refused_for is not None:
        assert refused_for == name
        return
    text = json.dumps(params.as_dict(), allow_nan=False)
    assert DEFAULTS.with_options(**json.loads(text)) == params
