"""The short way to a token is the long way's: same candidates, same probabilities, same draw."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyllama._ext.model import Model
from pyllama._ext.sampler import Sampler, WorkerPool, sample_rows
from pyllama.errors import NativeError
from tests.ext.native import Driver, argmax, sampler

# A bias of nothing: the chain begins with it, and so gets the whole vocabulary.
THE_LONG_WAY: dict[str, Any] = {"logit_bias": {0: 0.0}}

real = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

chains = st.fixed_dictionaries(
    {"temperature": st.floats(0.1, 3.0), "top_k": st.integers(1, 256)},
    optional={
        "top_p": st.floats(0.0, 1.0),
        "min_p": st.floats(0.0, 1.0),
        "typical_p": st.floats(0.1, 1.0),
        "min_keep": st.integers(0, 300),
        "xtc_probability": st.floats(0.0, 1.0),
        "xtc_threshold": st.floats(0.01, 0.5),
        "dynatemp_range": st.floats(0.0, 2.0),
        "samplers": st.sampled_from(
            ["kpmt", "ektpm", "ktpm", "sdkyp", "kmxt", ["top_k", "temperature", "adaptive_p"]]
        ),
        "adaptive_target": st.floats(-0.5, 1.0),
    },
)


@pytest.fixture
def row(streams: Driver, tokens: list[int]) -> int:
    """The batch row of a text whose next word is open."""
    streams.alone(tokens[:8])
    return 7


@real
@given(changes=chains, seed=st.integers(0, 2**31))
def test_k_candidates_are_as_good_as_all(
    streams: Driver, model: Model, row: int, changes: dict[str, Any], seed: int
) -> None:
    """Draw after draw, the k largest logits give what llama.cpp's own top-k gives of them all."""
    asked = {**changes, "seed": seed, "logprobs": 300, "post_sampling_probs": True}
    fast, slow = sampler(model, **asked), sampler(model, **asked, **THE_LONG_WAY)
    assert fast.n_candidates == changes["top_k"]
    assert slow.n_candidates == 0
    for _ in range(4):
        assert sample_rows(streams.context, [fast], [row]) == sample_rows(
            streams.context, [slow], [row]
        )
    assert fast.take_logprobs() == slow.take_logprobs()


@pytest.mark.parametrize(
    "changes",
    [
        {"top_k": 0},
        {"top_k": 257},
        {"top_k": 2**31 - 1},
        {"top_k": 40, "presence_penalty": 0.1},
        {"top_k": 40, "dry_multiplier": 0.5},
        {"top_k": 40, "top_n_sigma": 1.0},
        {"top_k": 40, "logit_bias": {5: 1.0}},
        {"top_k": 40, "ignore_eos": True},
        {"top_k": 40, "mirostat": 2},
        {"top_k": 40, "min_p": 0.1, "samplers": ["min_p", "top_k", "temperature"]},
    ],
)
def test_what_comes_before_top_k_sees_all(
    streams: Driver, model: Model, row: int, changes: dict[str, Any]
) -> None:
    """A link that works on the whole vocabulary gets it, and a token comes out."""
    one = sampler(model, temperature=1.0, seed=1, **changes)
    assert one.n_candidates == 0
    (token,) = sample_rows(streams.context, [one], [row])
    assert 0 <= token < 49152


@pytest.mark.parametrize("n_threads", [1, 2, 3, 8])
def test_together_is_as_one_by_one(
    streams: Driver, model: Model, tokens: list[int], n_threads: int
) -> None:
    """Rows shared among threads give the tokens and the reports that one thread gives."""
    rows = streams.fill(*((tokens[: slot + 4], 0, slot) for slot in range(4)))
    streams.context.decode(streams.batch)

    def some() -> list[Sampler]:
        # Each row several times, by samplers of every kind.
        kinds: list[dict[str, Any]] = [
            {},
            {"top_k": 40},
            {"presence_penalty": 0.5},
            {"mirostat": 2},
        ]
        return [
            sampler(model, temperature=1.2, seed=seed, logprobs=3, **kind)
            for seed in range(8)
            for kind in kinds
        ]

    alone, shared = some(), some()
    pool = WorkerPool(n_threads)
    for _ in range(3):
        wanted = sample_rows(streams.context, alone, rows * 8)
        assert sample_rows(streams.context, shared, rows * 8, pool) == wanted
    for one, other in zip(alone, shared, strict=True):
        reports = one.take_logprobs()
        assert len(reports) == 3
        assert other.take_logprobs() == reports


def test_an_error_in_a_thread_is_the_calls(streams: Driver, model: Model, row: int) -> None:
    """A row without logits fails the call, whoever works on it; the pool serves the next one."""
    pool = WorkerPool(4)
    samplers = [sampler(model, temperature=1.0, seed=seed) for seed in range(8)]
    with pytest.raises(NativeError, match="no logits for batch row 3"):
        sample_rows(streams.context, samplers, [row] * 7 + [3], pool)
    assert len(sample_rows(streams.context, samplers, [row] * 8, pool)) == 8


def test_rows_of_one_sampler_stand_side_by_side(streams: Driver, model: Model, row: int) -> None:
    """They are sampled in their order by one thread; scattered ones are refused."""
    one, other = sampler(model, temperature=1.0, seed=1), sampler(model, temperature=1.0, seed=1)
    pair = sample_rows(streams.context, [one, one], [row, row], WorkerPool(2))
    assert pair == [sample_rows(streams.context, [other], [row])[0] for _ in range(2)]
    with pytest.raises(NativeError, match="side by side"):
        sample_rows(streams.context, [one, other, one], [row] * 3)


@pytest.mark.parametrize(
    "changes", [{}, {"temperature": 1.0, "top_k": 1}, {"temperature": 1.0, "top_p": 0.0}]
)
def test_biases_move_the_choice(
    streams: Driver, model: Model, row: int, changes: dict[str, Any]
) -> None:
    """A banned token gives way to the next, a favoured one wins; with and without a chain."""
    logits = streams.context.logits(row).tolist()
    ranked = sorted(range(len(logits)), key=lambda token: -logits[token])
    first, second, last = ranked[0], ranked[1], ranked[-1]
    for bias, wanted in (
        ({}, first),
        ({first: False}, second),
        ({first: -100}, second),
        ({last: 1000.0}, last),
    ):
        one = sampler(model, logit_bias=bias, **changes)
        assert sample_rows(streams.context, [one], [row]) == [wanted]
    # The context's own logits are as they were.
    assert streams.context.logits(row).tolist() == logits


def test_the_order_of_samplers_counts(streams: Driver, model: Model, row: int) -> None:
    """Heat before a truncation leaves more candidates than after it; without it none is used."""

    def n_left(samplers: list[str]) -> int:
        one = sampler(
            model,
            temperature=3.0,
            min_p=0.2,
            seed=1,
            samplers=samplers,
            logprobs=1000,
            post_sampling_probs=True,
        )
        sample_rows(streams.context, [one], [row])
        ((_, _, top),) = one.take_logprobs()
        return len(top)

    assert n_left(["min_p", "temperature"]) < n_left(["temperature", "min_p"])
    cold = sampler(model, temperature=0.0, seed=1, samplers=["top_k"])
    assert not cold.is_greedy


def test_adaptive_p_aims_at_a_probability(streams: Driver, model: Model, row: int) -> None:
    """A target of 1 draws the likely tokens, one near 0 the unlikely."""

    def mean_logprob(target: float) -> float:
        one = sampler(
            model, temperature=1.0, seed=3, top_k=40, adaptive_target=target, samplers="kta",
            logprobs=0,
        )  # fmt: skip
        for _ in range(30):
            sample_rows(streams.context, [one], [row])
        return sum(logprob for _, logprob, _ in one.take_logprobs()) / 30

    assert mean_logprob(1.0) > mean_logprob(0.01) + 1.0


def test_hardly_any_temperature_is_none(streams: Driver, model: Model, row: int) -> None:
    """Where dividing by the temperature would overflow, the largest logit is taken."""
    wanted = argmax(streams.context.logits(row))
    for temperature in (1e-45, 1e-38, 1e-31, 1e-29, 1e-10):
        one = sampler(model, temperature=temperature, seed=1)
        assert sample_rows(streams.context, [one], [row]) == [wanted]


extremes = st.sampled_from([-1e6, -1.0, -1e-6, 0.0, 1e-30, 1e-6, 0.5, 1.0, 50.0, 1e6])


@real
@given(
    changes=st.fixed_dictionaries(
        {"seed": st.integers(0, 99)},
        optional={
            "temperature": extremes,
            "top_k": st.sampled_from([-1, 0, 1, 300, 2**31 - 1]),
            "top_p": st.floats(0, 1),
            "min_p": st.floats(0, 1),
            "typical_p": extremes,
            "top_n_sigma": extremes,
            "xtc_probability": extremes,
            "xtc_threshold": extremes,
            "dynatemp_range": extremes,
            "dynatemp_exponent": extremes,
            "repeat_penalty": st.sampled_from([1e-6, 0.5, 1.0, 1e6]),
            "presence_penalty": extremes,
            "frequency_penalty": extremes,
            "dry_multiplier": st.sampled_from([0.0, 1.0, 1e6]),
            "dry_base": st.sampled_from([1.0, 2.0, 3e38]),
            "dry_allowed_length": st.sampled_from([-5, 0, 2**31 - 1]),
            "mirostat": st.integers(0, 2),
            "mirostat_tau": extremes,
            "mirostat_eta": extremes,
            "min_keep": st.sampled_from([0, 1, 2**31 - 1]),
            "adaptive_target": st.sampled_from([-1e6, 0.0, 1.0]),
            "samplers": st.text("edskypmxta", max_size=12).filter(bool),
            "logit_bias": st.dictionaries(
                st.integers(0, 49151), st.sampled_from([False, -1e6, 1e6, 0.5]), max_size=5
            ),
            "logprobs": st.sampled_from([None, 0, 3, 1000]),
            "post_sampling_probs": st.booleans(),
        },
    )
)
def test_no_parameters_break_anything(
    streams: Driver, model: Model, tokens: list[int], row: int, changes: dict[str, Any]
) -> None:
    """Whatever passes the checks draws a token of the vocabulary, with finite log probabilities."""
    one = sampler(model, **changes)
    one.accept_prompt(tokens + tokens)
    for _ in range(2):
        (token,) = sample_rows(streams.context, [one], [row])
        assert 0 <= token < 49152
    for drawn, logprob, top in one.take_logprobs():
        assert 0 <= drawn < 49152
        assert math.isfinite(logprob)
        assert all(math.isfinite(value) for _, value in top)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"logit_bias": {49152: 1.0}}, "logit_bias names token 49152"),
        ({"logit_bias": dict.fromkeys(range(49152), False)}, "logit_bias bans every token"),
    ],
)
def test_biases_that_leave_no_choice_are_refused(
    model: Model, changes: dict[str, Any], reason: str
) -> None:
    """A token that does not exist, and a ban of every token, are a NativeError."""
    with pytest.raises(NativeError, match=reason):
        sampler(model, **changes)
