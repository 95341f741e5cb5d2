"""Fields of sampling that have several forms: biases, samplers, breakers."""

from __future__ import annotations

import math
from typing import Any

import httpx
import pytest

from pyllama.params import GenerationParams
from tests.support.fake_llama import FakeLlama

URL = "/v1/completions"


def params(client: httpx.Client, llm: FakeLlama, **body: Any) -> GenerationParams:
    """Return the parameters that a body asks for."""
    response = client.post(URL, json={"prompt": "a", **body})
    assert response.status_code == 200, response.text
    return llm.generations[-1].params


@pytest.mark.parametrize(
    ("value", "biases"),
    [
        ({"42": -100, "7": 1.5}, {42: -100.0, 7: 1.5}),
        ([[42, -100], [7, False]], {42: -100.0, 7: -math.inf}),
        ({"ab": 2}, {97: 2.0, 98: 2.0}),
        ([["ab", False]], {97: -math.inf, 98: -math.inf}),
        ([[1, 2], [1, 3]], {1: 5.0}),
    ],
)
def test_biases_have_two_forms(
    client: httpx.Client, llm: FakeLlama, value: Any, biases: dict[int, float]
) -> None:
    """An object or a list of pairs; ids or texts; numbers, or false for never."""
    assert dict(params(client, llm, logit_bias=value).sampling.logit_bias) == biases


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ({"1": "x"}, "logit_bias"),
        ({"1": True}, "logit_bias"),
        ({"1": None}, "logit_bias"),
        ({"100": 1}, "logit_bias.100"),
        ({"-1": 1}, "logit_bias.-1"),
        ([1], "logit_bias[0]"),
        ([[1, 2], [3]], "logit_bias[1]"),
        ([[True, 1]], "logit_bias[0]"),
        ([[1.5, 1]], "logit_bias[0]"),
        ([[100, 1]], "logit_bias[0]"),
        ("x", "logit_bias"),
    ],
)
def test_wrong_biases_are_refused(client: httpx.Client, value: Any, param: str) -> None:
    """Another form, a bias that is none, and an id outside of the vocabulary name the entry."""
    response = client.post(URL, json={"prompt": "a", "logit_bias": value})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


def test_samplers_are_names_or_letters(client: httpx.Client, llm: FakeLlama) -> None:
    """llama-server's short form is a letter for each sampler."""
    names = params(client, llm, samplers=["top_k", "temperature"])
    letters = params(client, llm, samplers="kt")
    assert names.sampling.samplers == letters.sampling.samplers == ("top_k", "temperature")


def test_unknown_letter_is_refused(client: httpx.Client) -> None:
    """What is neither a sampler nor a row of their letters is named."""
    response = client.post(URL, json={"prompt": "a", "samplers": "kq"})
    error = response.json()["error"]
    assert (response.status_code, error["param"]) == (400, "samplers")
    assert "'kq'" in error["message"]


def test_breakers_reach_the_engine(client: httpx.Client, llm: FakeLlama) -> None:
    """DRY's sequence breakers are a list of strings, which must not be empty."""
    asked = params(client, llm, dry_sequence_breakers=["\n", "*"])
    assert asked.sampling.dry_sequence_breakers == ("\n", "*")
    body = {"prompt": "a", "dry_sequence_breakers": []}
    assert client.post(URL, json=body).status_code == 400
