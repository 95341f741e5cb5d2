"""Plans, requests and the waiting queue."""

from __future__ import annotations

import pytest

from pyllama.errors import InvalidRequest
from pyllama.sched import BatchPlan, RemoveCells, Sequence, Status
from pyllama.sched.plan import PlanBuilder
from pyllama.sched.queue import WaitingQueue
from tests.support import builders


def sequence(n_tokens: int, n_past: int = 0) -> Sequence:
    made = Sequence(builders.request(n_tokens))
    made.n_past = n_past
    return made


@pytest.mark.parametrize(
    ("room", "n_added"), [((9, 9, 9), 5), ((2, 9, 9), 2), ((9, 3, 9), 3), ((9, 9, 4), 4)]
)
def test_a_prompt_takes_what_every_budget_allows(room: tuple[int, int, int], n_added: int) -> None:
    """The tightest of batch, cells and prompt budget bounds a chunk."""
    builder = PlanBuilder(*room)
    assert builder.add_prompt(sequence(8), 0, 5) == n_added
    left = (builder.n_tokens_left, builder.n_cells_left, builder.n_prompt_left)
    assert left == tuple(n - n_added for n in room)


def test_only_a_complete_sequence_wants_a_token() -> None:
    """A chunk asks for a token if and only if it reaches the sequence's end."""
    builder = PlanBuilder(99, 99, 99)
    builder.add_prompt(sequence(8), 0, 7)
    builder.add_prompt(sequence(8), 1, 99)
    assert [chunk.wants_token for chunk in builder.chunks] == [False, True]


def test_no_room_is_an_answer() -> None:
    """Without room nothing is added and the caller is told."""
    assert PlanBuilder(0, 9, 9).add_decode(sequence(3, 2), 0) is False
    assert PlanBuilder(9, 0, 9).add_decode(sequence(3, 2), 0) is False
    builder = PlanBuilder(9, 9, 0)
    assert builder.add_prompt(sequence(3), 0, 3) == 0
    assert builder.chunks == []


def test_rows_are_sorted_by_sequence_id() -> None:
    """Whoever was added first, the batch goes by sequence id."""
    builder = PlanBuilder(99, 99, 99)
    for seq_id in (2, 0, 1):
        builder.add_decode(sequence(3, 2), seq_id)
    plan = builder.build((RemoveCells(0, 1),))
    assert builders.shape(plan) == [(0, 2, 1), (1, 2, 1), (2, 2, 1)]
    assert plan.n_tokens == 3


def test_an_empty_plan_is_false() -> None:
    """A plan is worth running for its chunks or for its removals alone."""
    assert not BatchPlan()
    assert BatchPlan((RemoveCells(0, 0),))


def test_the_queue_is_first_come_first_served() -> None:
    """Sequences leave in the order of arrival; a preempted one comes back at the front."""
    queue = WaitingQueue()
    first, second, third = (sequence(1) for _ in range(3))
    assert list(queue) == []
    queue.append(first)
    queue.append(second)
    queue.push_front(third)
    assert third.status is Status.WAITING
    assert list(queue) == [third, first, second]
    assert queue.remove(first) is True
    assert queue.remove(first) is False
    assert (next(iter(queue)), queue.remove(third), len(queue)) == (third, True, 1)


@pytest.mark.parametrize(
    ("tokens", "max_tokens", "param"), [([], 5, "prompt"), ([1], 0, "max_tokens")]
)
def test_a_request_without_work_is_refused(tokens: list[int], max_tokens: int, param: str) -> None:
    """What would hold a slot with nothing to compute never gets as far as the queue."""
    with pytest.raises(InvalidRequest) as caught:
        builders.request(tokens, max_tokens)
    assert caught.value.param == param
