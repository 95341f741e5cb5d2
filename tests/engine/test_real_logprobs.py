"""How likely the real model finds prompts and its own tokens, through the engine."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pyllama import Llama, Prompt
from pyllama.engine import make_sampler
from pyllama.errors import ContextOverflow, InvalidRequest
from pyllama.params import GenerationParams
from pyllama.results import TokenLogprobs
from pyllama.sched import Finished, PromptScored, Request, TokenSampled
from tests.ext.native import Driver, load

pytestmark = pytest.mark.model

TEXT = "The quick brown fox jumps over the lazy dog, and the lazy dog sleeps on in the sun. " * 9


@pytest.fixture(scope="module", params=[False, True], ids=["streams", "pool"])
def llm(short_model_path: Path, request: pytest.FixtureRequest) -> Iterator[Llama]:
    options: dict[str, Any] = {"kv_unified": True} if request.param else {}
    with Llama(str(short_model_path), ctx_size=4096, parallel=4, threads=1, **options) as llm:
        yield llm
        llm.check_integrity()


def events(llm: Llama, tokens: tuple[int, ...], **options: Any) -> list[Any]:
    """Ask the engine; return the events up to the end."""
    params = GenerationParams().with_options(**options)
    request = Request(
        id="test",
        tokens=tokens,
        max_tokens=params.max_tokens,
        arrival_s=time.monotonic(),
        cache_prompt=params.prompt_logprobs is None,
        prompt_logprobs=params.prompt_logprobs,
        sampler=make_sampler(llm._open_codec.model, params, Prompt(tokens), llm.n_ctx),
    )
    ticket = llm._engine.submit(request)
    found: list[Any] = []
    while not found or not isinstance(found[-1], Finished):
        found += ticket.stream.get(60.0)
    return found


def scores(llm: Llama, tokens: tuple[int, ...], n_top: int = 0) -> tuple[TokenLogprobs, ...]:
    """Return how likely the tokens from the second on are."""
    (report,) = [
        event
        for event in events(llm, tokens, prompt_logprobs=n_top, max_tokens=0)
        if isinstance(event, PromptScored)
    ]
    return report.logprobs


def reference(short_model_path: Path, tokens: list[int]) -> list[float]:
    """Return the log probability of each token but the first, from bare logits."""
    driver = Driver.of(load(short_model_path, ("--parallel", "1"), ("--ctx-size", "512")))
    found = []
    for start in range(0, len(tokens), 100):
        chunk = tokens[start : start + 100]
        driver.batch.clear()
        driver.batch.add(tokens, start, len(chunk), 0, wants_logits=True)
        driver.batch.want_logits(0, len(chunk))
        driver.context.decode(driver.batch)
        for row, token in enumerate(tokens[start + 1 : start + 1 + len(chunk)]):
            logits = driver.context.logits(row).tolist()
            best = max(logits)
            normalizer = best + math.log(math.fsum(math.exp(x - best) for x in logits))
            found.append(logits[token] - normalizer)
    driver.context.close()
    return found


def test_a_prompt_is_as_likely_as_its_logits_say(llm: Llama, short_model_path: Path) -> None:
    """Over several chunks, each token and their sum agree with a log-softmax of bare logits."""
    tokens = llm.text_prompt(TEXT).tokens
    assert len(tokens) > 150
    wanted = reference(short_model_path, list(tokens))
    told = scores(llm, tokens, 2)
    assert [score.token for score in told] == list(tokens[1:])
    sums = sum(score.logprob for score in told), sum(wanted)
    assert sums[0] == pytest.approx(sums[1], rel=0.01)
    differences = sorted(abs(score.logprob - x) for score, x in zip(told, wanted, strict=True))
    # Chunks of other sizes round otherwise.
    assert differences[len(differences) // 2] < 0.02
    assert differences[-1] < 0.5
    for score in told:
        assert len(score.top) == 2
        assert score.top[0][1] >= score.top[1][1] >= -math.inf
        assert score.logprob <= score.top[0][1]


def test_scoring_takes_nothing_from_the_cache_and_leaves_its_own(llm: Llama) -> None:
    """A cached prompt is scored in full; a later request reuses the cells."""
    tokens = llm.text_prompt("One, two, three, four, five, six, seven, eight, nine.").tokens
    llm.generate(tokens, max_tokens=1)
    assert len(scores(llm, tokens)) == len(tokens) - 1
    assert llm.generate(tokens, max_tokens=1).usage.cached_tokens == len(tokens) - 1


def test_many_score_at_once(llm: Llama) -> None:
    """Prompts that are scored together, beside an answer, get the scores that they get alone."""
    texts = [f"{number}. {TEXT[: 100 + 60 * number]}" for number in range(6)]
    prompts = [llm.text_prompt(text).tokens for text in texts]
    alone = [scores(llm, tokens) for tokens in prompts]
    with ThreadPoolExecutor(7) as pool:
        answer = pool.submit(llm.generate, "Once upon a time", max_tokens=30, ignore_eos=True)
        together = list(pool.map(lambda tokens: scores(llm, tokens), prompts))
        assert answer.result().usage.completion_tokens == 30
    for one, other in zip(alone, together, strict=True):
        differences = sorted(abs(a.logprob - b.logprob) for a, b in zip(one, other, strict=True))
        # Cells of others in the pool change the rounding; a row of another token is off by more.
        assert differences[len(differences) // 2] < 0.1
        assert differences[-1] < 1.5


@pytest.mark.parametrize("sampling", [{}, {"temperature": 1.0, "top_k": 40, "seed": 1}])
def test_each_drawn_token_is_reported(llm: Llama, sampling: dict[str, Any]) -> None:
    """Every token comes with its own log probability; greedy ones lead their list."""
    tokens = llm.text_prompt("The capital of France is").tokens
    found = events(llm, tokens, max_tokens=8, ignore_eos=True, logprobs=3, **sampling)
    drawn = [event for event in found if isinstance(event, TokenSampled)]
    assert len(drawn) == 8
    for event in drawn:
        assert event.logprobs is not None
        assert event.logprobs.token == event.token
        assert len(event.logprobs.top) == 3
        if not sampling:
            assert event.logprobs.top[0] == (event.token, event.logprobs.logprob)


def test_a_prompt_and_its_answer_agree(llm: Llama) -> None:
    """What was reported of drawn tokens is what scoring says of the whole text afterwards."""
    tokens = llm.text_prompt("One, two, three, four,").tokens
    found = events(llm, tokens, max_tokens=6, ignore_eos=True, logprobs=0)
    drawn = [event for event in found if isinstance(event, TokenSampled)]
    told = scores(llm, (*tokens, *(event.token for event in drawn)))
    for event, score in zip(drawn, told[-6:], strict=True):
        assert event.logprobs is not None
        assert event.logprobs.logprob == pytest.approx(score.logprob, abs=0.1)


def test_a_prompt_can_be_scored_without_an_answer(llm: Llama) -> None:
    """max_tokens 0 makes sense with prompt_logprobs only, and gives an empty answer."""
    prompt = llm.text_prompt("Hello there")
    params = GenerationParams(max_tokens=0, prompt_logprobs=1)
    answer = llm.start(prompt, params).result()
    assert (answer.text, answer.finish_reason) == ("", "length")
    assert answer.usage.completion_tokens == 0
    with pytest.raises(InvalidRequest, match="max_tokens"):
        llm.start(prompt, GenerationParams(max_tokens=0))
    with pytest.raises(ContextOverflow):
        llm.start(llm.text_prompt([5] * llm.n_ctx), params)


def test_a_bias_of_no_token_names_the_field(llm: Llama) -> None:
    """A token id beyond the vocabulary is InvalidRequest with the field's name."""
    with pytest.raises(InvalidRequest, match="49152 is no token") as caught:
        llm.generate("Hello", logit_bias={49152: 1.0})
    assert caught.value.param == "logit_bias"


def test_a_banned_word_does_not_come(llm: Llama) -> None:
    """The token that greedy decoding says is avoided once it is banned."""
    tokens = llm.text_prompt("The capital of France is").tokens
    (first, _) = events(llm, tokens, max_tokens=1)[1:]
    other = events(llm, tokens, max_tokens=1, logit_bias={first.token: False})[1]
    assert other.token != first.token
