"""Generation parameters: names, types, ranges, and the defaults of the contract."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from pyllama.errors import InvalidRequest, UnknownOption
from pyllama.params import SAMPLING_TYPES, GenerationParams, SamplingParams

DEFAULTS = GenerationParams()


def test_the_defaults_are_the_contracts() -> None:
    """Requests that say nothing get greedy decoding of 200 tokens."""
    sampling = DEFAULTS.sampling
    assert (DEFAULTS.max_tokens, DEFAULTS.stop, DEFAULTS.cache_prompt) == (200, (), True)
    assert (sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p) == (0, 0, 1, 0)
    assert (sampling.repeat_penalty, sampling.presence_penalty) == (1.0, 0.0)
    assert (sampling.frequency_penalty, sampling.seed) == (0.0, -1)


@pytest.mark.parametrize("name", GenerationParams.names())
def test_every_name_is_taken_and_given_back(name: str) -> None:
    """Each name that is listed can be set, and reads back flat under the same name."""
    value = DEFAULTS.as_dict()[name]
    by_type = {bool: not value, int: 1, float: 0.5, list: ["x"], type(None): 3}
    by_name: dict[str, Any] = {
        "dry_base": 1.5,
        "samplers": ["top_k", "temperature"],
        "logit_bias": [[7, -1.5], [9, False]],
    }
    changed = by_name.get(name, by_type[type(value)])
    params = DEFAULTS.with_options(**{name: changed})
    assert params.as_dict() == {**DEFAULTS.as_dict(), name: changed}


def test_names_are_complete() -> None:
    """The flat names are the fields of both classes, none twice."""
    names = GenerationParams.names()
    assert list(names) == sorted(set(names))
    assert (
        set(names)
        == set(DEFAULTS.as_dict())
        == {
            *SAMPLING_TYPES,
            *("max_tokens", "stop", "cache_prompt"),
            *("logprobs", "prompt_logprobs", "post_sampling_probs"),
        }
    )


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("temprature", "temperature"),
        ("temp", "temperature"),
        ("num_predict", "max_tokens"),
        ("max_new_tokens", "max_tokens"),
        ("repetition_penalty", "repeat_penalty"),
        ("topp", "top_p"),
        ("n_probs", "logprobs"),
        ("top_logprobs", "logprobs"),
        ("sampler", "samplers"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, nearest: str) -> None:
    """A misspelt name, or another library's, is a TypeError that names ours."""
    with pytest.raises(UnknownOption, match=f"did you mean '{nearest}'") as caught:
        DEFAULTS.with_options(**{name: 1})
    assert isinstance(caught.value, TypeError)


def test_a_name_like_no_other_is_answered_with_the_list() -> None:
    """Where nothing is near, every name is listed."""
    with pytest.raises(UnknownOption, match="the options are adaptive_decay, "):
        DEFAULTS.with_options(zzzzzz=1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", "hot"),
        ("temperature", True),
        ("temperature", None),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("temperature", 10**400),
        ("temperature", 1e39),
        ("dry_multiplier", -1e300),
        ("dry_base", 0.5),
        ("dry_multiplier", -0.1),
        ("presence_penalty", 1e7),
        ("frequency_penalty", -1e7),
        ("repeat_penalty", 1e-7),
        ("repeat_penalty", 1e7),
        ("adaptive_target", 1.5),
        ("adaptive_decay", 0.995),
        ("adaptive_decay", -0.1),
        ("logprobs", -1),
        ("logprobs", 1001),
        ("logprobs", True),
        ("logprobs", 2.0),
        ("prompt_logprobs", 1001),
        ("prompt_logprobs", "3"),
        ("post_sampling_probs", 1),
        ("top_k", 1.5),
        ("top_k", True),
        ("top_k", -2),
        ("top_k", 2**31),
        ("top_k", 2**63),
        ("top_p", 1.01),
        ("top_p", -0.1),
        ("min_p", 2.0),
        ("repeat_last_n", -2),
        ("repeat_last_n", 2**31),
        ("dry_penalty_last_n", -2),
        ("dry_allowed_length", 2**40),
        ("min_keep", -1),
        ("mirostat", 3),
        ("seed", -2),
        ("seed", 2**32),
        ("repeat_penalty", 0.0),
        ("repeat_penalty", -1.0),
        ("ignore_eos", 1),
        ("cache_prompt", "yes"),
        ("max_tokens", -2),
        ("max_tokens", 5.0),
        ("stop", ""),
        ("stop", ["a", ""]),
        ("stop", ["a", 5]),
        ("stop", [str(number) for number in range(257)]),
        ("stop", ["a" * 1001]),
        ("stop", 5),
        ("stop", True),
    ],
)
def test_values_that_nobody_can_honour_are_refused(name: str, value: Any) -> None:
    """A wrong type or a value out of range is InvalidRequest with the option's name."""
    with pytest.raises(InvalidRequest) as caught:
        DEFAULTS.with_options(**{name: value})
    assert caught.value.param == name
    assert name in str(caught.value) or name == "stop"


@pytest.mark.parametrize(
    ("value", "stops"), [("x", ("x",)), (["x", "y"], ("x", "y")), (None, ()), ([], ())]
)
def test_stop_takes_one_or_many(value: Any, stops: tuple[str, ...]) -> None:
    """A string, a list, or nothing at all."""
    assert DEFAULTS.with_options(stop=value).stop == stops


def test_integers_are_numbers_too() -> None:
    """An integer where a number is wanted becomes one, as JSON clients send it."""
    temperature = DEFAULTS.with_options(temperature=1).sampling.temperature
    assert isinstance(temperature, float)
    assert temperature == 1.0


def test_options_add_up_and_leave_the_original() -> None:
    """Each call changes what it names in a copy; parameters are immutable."""
    params = DEFAULTS.with_options(temperature=0.5).with_options(top_k=3, max_tokens=-1)
    assert (params.sampling.temperature, params.sampling.top_k, params.max_tokens) == (0.5, 3, -1)
    assert GenerationParams() == DEFAULTS
    with pytest.raises(dataclasses.FrozenInstanceError):
        SamplingParams().top_k = 3  # type: ignore[misc]
