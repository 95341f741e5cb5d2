"""Prompts that are scored: every token of them once, within the rows of logits that there are."""

from __future__ import annotations

from typing import Any

import pytest

from pyllama.errors import InvalidRequest
from pyllama.results import TokenLogprobs
from pyllama.sched import (
    Event,
    Finished,
    Limits,
    PromptScored,
    Scheduler,
    Started,
    StepResult,
    StepStatus,
    TokenSampled,
)
from tests.support import builders
from tests.support.fake_runner import FakeRunner


def scored(tokens: Any = 10, max_tokens: int = 2, **changes: Any) -> Any:
    return builders.request(
        tokens, max_tokens, cache_prompt=False, **{"prompt_logprobs": 3, **changes}
    )


def run(limits: Limits, *requests: Any) -> tuple[Scheduler, list[Event], list[list[int]]]:
    """Run requests to their end; return the events, and each step's rows used for scores."""
    scheduler, runner = Scheduler(limits), FakeRunner(limits)
    for request in requests:
        scheduler.add(request)
    events: list[Event] = []
    rows: list[list[int]] = []
    while scheduler.has_work:
        plan = scheduler.schedule(0.0)
        rows.append([len(chunk.scored) for chunk in plan.chunks])
        events += scheduler.update(plan, runner.run(plan), 0.0)
    return scheduler, events, rows


def kinds(events: list[Event]) -> list[type]:
    return [type(event) for event in events]


@pytest.mark.parametrize("n_scored", [1, 3, 64])
def test_a_prompt_is_scored_in_chunks(n_scored: int) -> None:
    """The report has every token but the first, in order, however few rows a step may use."""
    request = scored(10)
    _, events, rows = run(builders.limits(n_scored=n_scored), request)
    assert kinds(events) == [Started, PromptScored, TokenSampled, TokenSampled, Finished]
    assert isinstance(events[1], PromptScored)
    assert [score.token for score in events[1].logprobs] == list(request.tokens[1:])
    assert [score.logprob for score in events[1].logprobs] == [-1.0 - i for i in range(9)]
    assert max(sum(step) for step in rows) <= n_scored


def test_without_tokens_to_generate_the_score_is_all() -> None:
    """max_tokens 0 ends after the prompt, with the reason of a length."""
    _, events, _ = run(builders.limits(), scored(10, max_tokens=0))
    assert kinds(events) == [Started, PromptScored, Finished]
    assert isinstance(events[2], Finished)
    assert events[2].reason == "length"


def test_one_token_has_no_score() -> None:
    """Nothing comes before the first token that could say how likely it was."""
    _, events, _ = run(builders.limits(), scored(1, max_tokens=0))
    assert isinstance(events[1], PromptScored)
    assert events[1].logprobs == ()


def test_prompts_share_the_rows() -> None:
    """Several scored prompts and a plain one get through, each with what it asked for."""
    requests = [scored(40), scored(40), builders.request(40, 2)]
    _, events, rows = run(builders.limits(n_slots=3, n_scored=16), *requests)
    reports = {event.sequence.request: event for event in events if isinstance(event, PromptScored)}
    assert set(reports) == set(requests[:2])
    for request, event in reports.items():
        assert [score.token for score in event.logprobs] == list(request.tokens[1:])
    assert max(sum(step) for step in rows) == 16


def test_a_scored_prompt_is_computed_as_a_whole_and_serves_others() -> None:
    """It takes no cell from the cache; what it computed is there for the next."""
    prompt = list(range(100, 140))
    scheduler, _, _ = run(builders.limits(n_slots=1), builders.request(prompt, 1), scored(prompt))
    runner_free = scheduler.add(builders.request(prompt, 1))
    scheduler.schedule(0.0)
    assert runner_free.n_past == len(prompt) - 1


def test_scores_survive_a_preemption() -> None:
    """A sequence that lost its cells is computed again, and scored where it stopped."""
    limits = builders.limits(n_slots=1, n_scored=4)
    scheduler, runner = Scheduler(limits), FakeRunner(limits)
    sequence = scheduler.add(scored(10, max_tokens=1))
    plan = scheduler.schedule(0.0)
    scheduler.update(plan, runner.run(plan), 0.0)
    assert len(sequence.prompt_logprobs) == sequence.n_past == 4
    scheduler._lifecycle.preempt(sequence)
    events: list[Event] = []
    n_rows = 0
    while scheduler.has_work:
        plan = scheduler.schedule(0.0)
        n_rows += sum(len(chunk.scored) for chunk in plan.chunks)
        events += scheduler.update(plan, runner.run(plan), 0.0)
    assert n_rows == 5
    (report,) = [event for event in events if isinstance(event, PromptScored)]
    assert [score.token for score in report.logprobs] == list(sequence.request.tokens[1:])


def test_a_drawn_token_carries_its_score() -> None:
    """What the runner says of a token travels with it, and with no other sequence's."""
    scheduler = Scheduler(builders.limits())
    asked = scheduler.add(builders.request(5, 1))
    other = scheduler.add(builders.request(5, 1))
    plan = scheduler.schedule(0.0)
    score = TokenLogprobs(token=7, logprob=-0.5)
    result = StepResult(StepStatus.OK, (7, 7), 0.01, logprobs={asked: score})
    events = [e for e in scheduler.update(plan, result, 0.0) if isinstance(e, TokenSampled)]
    assert {event.sequence: event.logprobs for event in events} == {asked: score, other: None}


@pytest.mark.parametrize(
    "changes",
    [{"cache_prompt": True, "prompt_logprobs": 0}, {"max_tokens": 0}, {"max_tokens": -1}],
)
def test_requests_that_cannot_be_scored_are_refused(changes: dict[str, Any]) -> None:
    """A reused cell has no logits; and no tokens at all make sense for a score only."""
    with pytest.raises(InvalidRequest):
        builders.request(5, **changes)
