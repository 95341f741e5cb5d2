"""Samplers: greedy is the largest logit, seeds reproduce, parameters do what they are named for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyllama._ext.model import Model
from pyllama._ext.sampler import Sampler, sample_rows
from pyllama._ext.vocab import Vocab
from pyllama.errors import NativeError
from pyllama.params import GenerationParams
from tests.ext.native import Driver, argmax, sampler

# A chain whose only effect is that greedy decoding takes the long way.
THE_LONG_WAY: dict[str, Any] = {"frequency_penalty": 1e-6}


def draw(driver: Driver, tokens: list[int], one: Sampler, count: int) -> list[int]:
    """Generate tokens after a prompt, from an empty memory."""
    driver.memory.clear()
    drawn: list[int] = []
    for _ in range(count):
        sequence = tokens + drawn
        start = 0 if not drawn else len(sequence) - 1
        (row,) = driver.fill((sequence, start, 0))
        driver.context.decode(driver.batch)
        drawn += sample_rows(driver.context, [one], [row])
    return drawn


def test_greedy_is_the_largest_logit(streams: Driver, model: Model, tokens: list[int]) -> None:
    """The fast path, the chain's answer and the arg-max of the logits agree."""
    fast, chain = sampler(model), sampler(model, **THE_LONG_WAY)
    assert fast.is_greedy
    assert not chain.is_greedy
    for length in range(1, len(tokens), 2):
        wanted = argmax(streams.alone(tokens[:length]))
        rows = [length - 1, length - 1]
        assert sample_rows(streams.context, [fast, chain], rows) == [wanted, wanted]


def test_rows_of_one_batch_are_sampled_together(
    streams: Driver, model: Model, tokens: list[int]
) -> None:
    """Each sampler takes the row that is named for it, in any order."""
    wanted = [argmax(streams.alone(tokens[: length + 3])) for length in range(4)]
    streams.memory.clear()
    rows = streams.fill(*((tokens[: length + 3], 0, length) for length in range(4)))
    streams.context.decode(streams.batch)
    samplers = [sampler(model) for _ in rows]
    assert sample_rows(streams.context, samplers, rows) == wanted
    assert sample_rows(streams.context, samplers, rows[::-1]) == wanted[::-1]
    assert sample_rows(streams.context, [], []) == []


def test_greedy_repeats(streams: Driver, model: Model, tokens: list[int]) -> None:
    """Greedy decoding gives the same tokens each time."""
    assert draw(streams, tokens, sampler(model), 8) == draw(streams, tokens, sampler(model), 8)


@pytest.mark.parametrize(
    "changes", [{}, {"mirostat": 1}, {"mirostat": 2}, {"xtc_probability": 0.5}]
)
def test_a_seed_reproduces(
    streams: Driver, model: Model, tokens: list[int], changes: dict[str, Any]
) -> None:
    """The same seed draws the same tokens; another one draws others."""
    drawn = [
        draw(streams, tokens, sampler(model, temperature=1.5, seed=seed, **changes), 12)
        for seed in (11, 11, 12)
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_the_seed_in_use_is_known(model: Model) -> None:
    """A given seed is kept, and a random one is drawn anew each time."""
    assert sampler(model, temperature=1.0, seed=42).seed == 42
    drawn = {sampler(model, temperature=1.0).seed for _ in range(4)}
    assert len(drawn) > 1


def test_top_k_of_one_is_greedy(streams: Driver, model: Model, tokens: list[int]) -> None:
    """However hot the temperature, one candidate leaves no choice."""
    hot = sampler(model, temperature=5.0, top_k=1)
    assert not hot.is_greedy
    assert draw(streams, tokens, hot, 6) == draw(streams, tokens, sampler(model), 6)


@pytest.mark.parametrize("name", ["presence_penalty", "frequency_penalty", "repeat_penalty"])
def test_penalties_see_the_prompt(
    streams: Driver, model: Model, tokens: list[int], name: str
) -> None:
    """A token of the prompt that would come again does not, once the sampler has seen it there."""
    prompt = tokens + tokens[:6]
    expected = tokens[6]
    for sees_prompt in (False, True):
        one = sampler(model, **{name: 100.0})
        if sees_prompt:
            one.accept_prompt(prompt)
        (token,) = draw(streams, prompt, one, 1)
        assert (token != expected) == sees_prompt


def test_penalties_see_what_was_drawn(streams: Driver, model: Model, tokens: list[int]) -> None:
    """A strong presence penalty draws no token twice."""
    drawn = draw(streams, tokens, sampler(model, presence_penalty=1000.0), 12)
    assert len(set(drawn)) == len(drawn)


def test_the_history_ends(streams: Driver, model: Model, tokens: list[int]) -> None:
    """A token further back than repeat_last_n is forgotten."""
    prompt = tokens + tokens[:6]
    one = sampler(model, presence_penalty=1000.0, repeat_last_n=4)
    one.accept_prompt(prompt)
    assert draw(streams, prompt, one, 1) == [tokens[6]]


@pytest.mark.parametrize("changes", [{}, {"temperature": 1.0, "seed": 3}, THE_LONG_WAY])
def test_ignore_eos_never_ends(
    streams: Driver, model: Model, vocab: Vocab, changes: dict[str, Any]
) -> None:
    """Where the model would end its turn, ignore_eos makes it go on."""
    ending = vocab.tokenize("<|im_start|>user\nSay yes.<|im_end|>\n", parse_special=True)
    prompt = [*ending, *vocab.tokenize("<|im_start|>assistant\nYes.", parse_special=True)]
    eog = vocab.eog_tokens()
    if not changes.get("temperature"):
        assert set(draw(streams, prompt, sampler(model, **changes), 24)) & eog
    assert not set(draw(streams, prompt, sampler(model, ignore_eos=True, **changes), 24)) & eog


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"temperature": "hot"}, "type"),
        ({"temperature": None}, "type"),
        ({"mirostat": 3}, "mirostat must be 0, 1 or 2, not 3"),
        ({"mirostat": -1}, "mirostat"),
        ({"seed": "x"}, "type"),
        ({"ignore_eos": 1}, "type"),
    ],
)
def test_parameters_that_no_sampler_honours_are_refused(
    model: Model, changes: dict[str, Any], reason: str
) -> None:
    """Wrong types, and values on which llama.cpp would end the process, are a NativeError."""
    params = {**GenerationParams().as_dict(), **changes}
    with pytest.raises(NativeError, match=reason):
        Sampler(model, json.dumps(params))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"temperature": NaN}'])
def test_what_is_no_parameter_object_is_refused(model: Model, text: str) -> None:
    """Malformed JSON and missing fields are a NativeError."""
    with pytest.raises(NativeError, match="common_sampler_init"):
        Sampler(model, text)


@pytest.mark.parametrize("name", ["repeat_last_n", "dry_penalty_last_n"])
def test_a_huge_history_takes_no_huge_memory(model: Model, name: str) -> None:
    """A history of two billion tokens is kept as long as contexts are, not as asked for."""
    changes = {name: 2**31 - 1, "dry_multiplier": 0.5, "repeat_penalty": 1.1}
    assert not sampler(model, **changes).is_greedy


@pytest.mark.parametrize("row", [-1, 0, 4, 10_000, -(2**31), 2**31 - 1])
@pytest.mark.parametrize("changes", [{}, THE_LONG_WAY])
def test_a_row_without_logits_is_refused(
    streams: Driver, model: Model, tokens: list[int], row: int, changes: dict[str, Any]
) -> None:
    """A row that asked for no logits is a NativeError, with and without a chain."""
    streams.alone(tokens[:4])
    with pytest.raises(NativeError, match=f"no logits for batch row {row}"):
        sample_rows(streams.context, [sampler(model, **changes)], [row])


def test_lists_must_match(streams: Driver, model: Model, tokens: list[int]) -> None:
    """A sampler a row, and samplers only."""
    streams.alone(tokens)
    row = len(tokens) - 1
    with pytest.raises(ValueError, match="1 samplers for 2 rows"):
        sample_rows(streams.context, [sampler(model)], [row, row])
    for wrong in (None, "greedy", object()):
        with pytest.raises(TypeError):
            sample_rows(streams.context, [wrong], [row])  # type: ignore[list-item]
    with pytest.raises(TypeError):
        sample_rows(None, [], [])  # type: ignore[arg-type]


@pytest.mark.parametrize("token", [-1, 49152, 2**31 - 1])
def test_a_prompt_token_outside_of_the_vocabulary_is_refused(model: Model, token: int) -> None:
    """The history holds token ids only."""
    with pytest.raises(ValueError, match=f"token id {token} is outside"):
        sampler(model, **THE_LONG_WAY).accept_prompt([1, token])
