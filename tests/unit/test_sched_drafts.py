"""Drafts in the scheduler: how much they may take, and what is left of them."""

from __future__ import annotations

import pytest

from pyllama.sched import (
    Finished,
    Limits,
    RemoveCells,
    Scheduler,
    Sequence,
    Status,
    StepStatus,
    TokenSampled,
    Verified,
)
from tests.support.builders import limits, pool, request
from tests.support.fake_drafter import FakeDrafter
from tests.support.fake_runner import FakeRunner, continuation


class Script:
    """Guesses what it is told to."""

    def __init__(self, *drafts: tuple[int, ...]) -> None:
        self.n_max = 64
        self.drafts = list(drafts)
        self.asked: list[int] = []
        self.ended: list[Sequence] = []

    def draft(self, sequence: Sequence, n_max: int) -> tuple[int, ...]:
        self.asked.append(n_max)
        return self.drafts.pop(0)[:n_max] if self.drafts else ()

    def accept(self, sequence: Sequence, n_accepted: int) -> None:
        pass

    def end(self, sequence: Sequence) -> None:
        self.ended.append(sequence)


class House:
    """A scheduler with a drafter, and the fake model that answers it."""

    def __init__(self, limits: Limits, drafter: Script | FakeDrafter) -> None:
        self.limits = limits
        self.scheduler = Scheduler(limits, drafter=drafter)
        self.runner = FakeRunner(limits)
        self.events: list[object] = []
        self.n_steps = 0

    def step(self) -> None:
        plan = self.scheduler.schedule(0.0)
        self.plan = plan
        self.events += self.scheduler.update(plan, self.runner.run(plan), 0.0)
        self.n_steps += bool(plan.chunks)

    def finish(self) -> None:
        while self.scheduler.has_work:
            self.step()
        self.scheduler.check_integrity(self.runner.cells())

    def verified(self) -> list[tuple[int, int]]:
        return [
            (event.n_drafted, event.n_accepted)
            for event in self.events
            if isinstance(event, Verified)
        ]


def guess(prompt: tuple[int, ...], n_tokens: int) -> list[int]:
    return continuation(prompt, n_tokens, limits())


PROMPT = tuple(range(10))


@pytest.mark.parametrize("n_right", [0, 2, 4])
def test_a_draft_yields_what_is_right_of_it(n_right: int) -> None:
    """A step appends the right tokens and the one after them; the other cells are removed."""
    alone = guess(PROMPT, 12)
    draft = [*alone[1 : 1 + n_right], *[51] * (4 - n_right)]
    house = House(limits(), Script(tuple(draft)))
    sequence = house.scheduler.add(request(PROMPT, max_tokens=12))
    house.step()
    house.step()
    assert house.plan.n_tokens == house.plan.n_decoding == 5
    assert sequence.tokens[10:] == alone[: 2 + n_right]
    assert sequence.n_past == 11 + n_right
    removals = () if n_right == 4 else (RemoveCells(0, 11 + n_right),)
    house.step()
    assert house.plan.operations == removals
    house.finish()
    assert sequence.tokens[10:] == alone
    assert house.verified() == [(4, n_right)]


def test_drafts_save_steps() -> None:
    """Guesses that are always right make several tokens a step, and the same answer."""
    plain = House(limits(), Script())
    house = House(limits(), FakeDrafter(share_right=1.0))
    answers = []
    for each in (plain, house):
        sequence = each.scheduler.add(request(PROMPT, max_tokens=40))
        each.finish()
        answers.append(sequence.tokens)
    assert answers[0] == answers[1]
    assert house.n_steps < plain.n_steps / 2
    tokens = [event for event in house.events if isinstance(event, TokenSampled)]
    assert len(tokens) == 40


def test_an_end_in_a_draft_ends_the_answer() -> None:
    """What a draft says after an end-of-generation token is dropped, with its cells."""
    alone = guess(PROMPT, 6)
    context = limits(eog_tokens=frozenset({alone[3]}))
    house = House(context, Script(tuple(alone[1:6])))
    sequence = house.scheduler.add(request(PROMPT, max_tokens=40))
    house.finish()
    assert sequence.tokens[10:] == alone[:3]
    assert house.events[-1] == Finished(sequence, 0.0, "stop")
    assert house.scheduler.pool.slots[0].tokens == [*PROMPT, *alone[:3]]


def test_a_draft_leaves_room_for_the_last_token() -> None:
    """A draft is shorter than what the request may still generate, by the token after it."""
    drafter = Script()
    house = House(limits(n_ctx_seq=100), drafter)
    house.scheduler.add(request(PROMPT, max_tokens=5))
    house.finish()
    # The last token has nobody to guess for.
    assert drafter.asked == [3, 2, 1]


def test_a_draft_stays_within_the_context() -> None:
    """A draft never takes a cell beyond those of one sequence."""
    drafter = Script()
    house = House(limits(n_slots=1, n_ctx_seq=16), drafter)
    sequence = house.scheduler.add(request(PROMPT, max_tokens=99))
    house.finish()
    assert drafter.asked == [5, 4, 3, 2, 1]
    assert len(sequence.tokens) == 16


def test_a_request_may_decline() -> None:
    """A request that must see every token drawn alone is never drafted for."""
    drafter = Script()
    house = House(limits(), drafter)
    house.scheduler.add(request(PROMPT, max_tokens=9, may_draft=False))
    house.finish()
    assert drafter.asked == []


def test_drafts_take_what_prompts_leave() -> None:
    """In a full batch a draft is cut before a prompt is: nobody waits for guesses."""
    house = House(limits(n_batch=16), Script(*[(51,) * 30] * 9))
    house.scheduler.add(request(PROMPT, max_tokens=30))
    house.step()
    house.scheduler.add(request(tuple(range(100, 113)), max_tokens=30))
    house.step()
    assert [(chunk.seq_id, chunk.count) for chunk in house.plan.chunks] == [(1, 13), (0, 3)]


def test_drafts_take_no_cell_that_somebody_needs() -> None:
    """In a pool only cells beyond those of every pending token are guessed into."""
    drafter = Script(*[(51,) * 30] * 99)
    context = pool(64)
    house = House(context, drafter)
    sequences = [
        house.scheduler.add(request(tuple(range(start, start + 20)), max_tokens=12))
        for start in (0, 100)
    ]
    house.finish()
    for sequence in sequences:
        assert sequence.tokens[20:] == continuation(sequence.request.tokens, 12, context)
    assert max(drafter.asked) <= 64 - 2 * 21


@pytest.mark.parametrize("end", ["abort", "fail", "preempt", "finish"])
def test_the_drafter_hears_of_every_end(end: str) -> None:
    """However a sequence leaves its slot, the drafter may forget it."""
    drafter = Script()
    house = House(pool(40), drafter)
    sequences = [house.scheduler.add(request(10, max_tokens=9)) for _ in range(2)]
    house.step()
    victim = sequences[1]
    if end == "abort":
        house.scheduler.abort(victim, 0.0)
    elif end == "fail":
        house.scheduler.fail(house.scheduler.schedule(0.0), 0.0)
    elif end == "preempt":
        house.runner.answers = [StepStatus.NO_KV_CELLS]
        house.step()
        assert victim.status is Status.WAITING
    else:
        house.finish()
    assert victim in drafter.ended


def test_a_broken_step_forgets_its_draft() -> None:
    """Cells of a draft that an interrupt left behind are removed, and nothing is reported."""
    house = House(limits(), Script((51, 51, 51)))
    house.scheduler.add(request(PROMPT, max_tokens=9))
    house.step()
    house.runner.answers = [StepStatus.ABORTED]
    house.runner.n_computed = 3
    house.step()
    assert house.verified() == []
    house.step()
    assert house.plan.operations == (RemoveCells(0, 10),)
    house.finish()
