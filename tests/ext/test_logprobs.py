"""Log probabilities are those of the logits: a log-softmax over the vocabulary."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pyllama._ext.model import Model
from pyllama._ext.sampler import WorkerPool, sample_rows, score_rows
from pyllama.errors import NativeError
from tests.ext.native import Driver, sampler

# The sum of 49,152 numbers in another order.
CLOSE = 1e-4


def log_softmax(logits: memoryview) -> list[float]:
    """Return the log probability of every token, computed in double precision."""
    values = logits.tolist()
    best = max(values)
    normalizer = best + math.log(math.fsum(math.exp(value - best) for value in values))
    return [value - normalizer for value in values]


@pytest.fixture
def row(streams: Driver, tokens: list[int]) -> int:
    """The batch row of a text whose next word is open."""
    streams.alone(tokens[:8])
    return 7


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"logit_bias": {5: 100.0}},
        {"temperature": 2.0, "seed": 5},
        {"temperature": 2.0, "seed": 5, "top_k": 5},
        {"presence_penalty": 2.0},
    ],
)
@pytest.mark.parametrize("n_top", [0, 1, 20])
def test_a_draw_is_reported_as_the_model_saw_it(
    streams: Driver, model: Model, row: int, changes: dict[str, Any], n_top: int
) -> None:
    """Whatever the samplers do, the report has the model's own log probabilities."""
    wanted = log_softmax(streams.context.logits(row))
    ranked = sorted(range(len(wanted)), key=lambda token: -wanted[token])
    one = sampler(model, logprobs=n_top, **changes)
    assert one.has_logprobs
    (token,) = sample_rows(streams.context, [one], [row])
    ((told, logprob, top),) = one.take_logprobs()
    assert told == token
    assert logprob == pytest.approx(wanted[token], abs=CLOSE)
    assert [candidate for candidate, _ in top] == ranked[:n_top]
    assert [value for _, value in top] == pytest.approx(
        [wanted[candidate] for candidate in ranked[:n_top]], abs=CLOSE
    )
    assert one.take_logprobs() == []


def test_nothing_is_reported_where_nobody_asks(streams: Driver, model: Model, row: int) -> None:
    """Without logprobs there are no reports."""
    one = sampler(model)
    sample_rows(streams.context, [one], [row])
    assert not one.has_logprobs
    assert one.take_logprobs() == []


@pytest.mark.parametrize("top_k", [3, 0])
def test_after_the_samplers_probabilities_are_theirs(
    streams: Driver, model: Model, row: int, top_k: int
) -> None:
    """With post_sampling_probs the candidates that are left share the whole probability."""
    model_says = log_softmax(streams.context.logits(row))
    one = sampler(
        model, temperature=0.5, seed=1, top_k=top_k, min_p=0.0 if top_k else 0.01, logprobs=1000,
        post_sampling_probs=True,
    )  # fmt: skip
    (token,) = sample_rows(streams.context, [one], [row])
    ((told, logprob, top),) = one.take_logprobs()
    assert told == token
    assert dict(top)[token] == logprob
    assert math.fsum(math.exp(value) for _, value in top) == pytest.approx(1.0)
    if top_k:
        assert len(top) == 3
    # Half the temperature doubles the differences.
    (best, best_value), (second, second_value), *_ = top
    difference = (model_says[best] - model_says[second]) / 0.5
    assert best_value - second_value == pytest.approx(difference, abs=CLOSE)


@pytest.mark.parametrize("n_top", [0, 5])
def test_after_an_arg_max_one_token_is_certain(
    streams: Driver, model: Model, row: int, n_top: int
) -> None:
    """Greedy decoding leaves one candidate, with and without a chain."""
    for changes in ({}, {"frequency_penalty": 1e-6}):
        one = sampler(model, logprobs=n_top, post_sampling_probs=True, **changes)
        (token,) = sample_rows(streams.context, [one], [row])
        assert one.take_logprobs() == [(token, 0.0, ((token, 0.0),) if n_top else ())]


def test_given_tokens_are_scored(streams: Driver, tokens: list[int]) -> None:
    """Each row says how likely the token after it was; threads say the same."""
    streams.memory.clear()
    streams.fill((tokens, 0, 0))
    streams.batch.want_logits(0, len(tokens))
    streams.context.decode(streams.batch)
    rows = list(range(len(tokens) - 1))
    reports = score_rows(streams.context, rows, tokens[1:], 2)
    assert score_rows(streams.context, rows, tokens[1:], 2, WorkerPool(3)) == reports
    assert [token for token, _, _ in reports] == tokens[1:]
    for row, (token, logprob, top) in zip(rows, reports, strict=True):
        wanted = log_softmax(streams.context.logits(row))
        assert logprob == pytest.approx(wanted[token], abs=CLOSE)
        assert [value for _, value in top] == pytest.approx(sorted(wanted)[-1:-3:-1], abs=CLOSE)


def test_all_of_the_vocabulary_may_be_asked_for(streams: Driver, row: int) -> None:
    """More tokens than there are: each of them once, and their probabilities add up to one."""
    ((_, _, top),) = score_rows(streams.context, [row], [0], 2**31 - 1)
    assert sorted(token for token, _ in top) == list(range(49152))
    assert math.fsum(math.exp(value) for _, value in top) == pytest.approx(1.0, abs=CLOSE)


@pytest.mark.parametrize("token", [-1, 49152])
def test_what_cannot_be_scored_is_refused(streams: Driver, row: int, token: int) -> None:
    """A token outside of the vocabulary, a row without logits, lists that differ in length."""
    with pytest.raises(NativeError, match=f"token id {token} does not exist"):
        score_rows(streams.context, [row], [token], 1)
    with pytest.raises(NativeError, match="no logits for batch row 3"):
        score_rows(streams.context, [3], [5], 1)
    with pytest.raises(ValueError, match="2 tokens for 1 rows"):
        score_rows(streams.context, [row], [5, 5], 1)
    with pytest.raises(ValueError, match="n_top"):
        score_rows(streams.context, [row], [5], -1)
    assert score_rows(streams.context, [], [], 1) == []


@pytest.mark.parametrize(("row", "count"), [(-1, 1), (0, 9), (8, 1), (2**31 - 1, 1), (0, -1)])
def test_rows_that_the_batch_lacks_are_refused(
    streams: Driver, tokens: list[int], row: int, count: int
) -> None:
    """Logits can be asked for rows of the batch only."""
    streams.fill((tokens[:8], 0, 0))
    with pytest.raises(ValueError, match="of 8"):
        streams.batch.want_logits(row, count)
