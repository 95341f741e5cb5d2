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


@pytest.mark.parametrize(("room", "n_added"), [((9, 9), 5), ((2, 9), 2), ((9, 3), 3)])
def test_a_prompt_takes_what_there_is_room_for(room: tuple[int, int], n_added: int) -> None:
    """The tighter of batch and cells bounds a chunk."""
    builder = PlanBuilder(*room, n_prompt=99)
    assert builder.add_prompt(sequence(8), 0, 5) == n_added
    left = (builder.n_tokens_left, builder.n_cells_left)
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
    builder = PlanBuilder(9, 0, 9)
    assert builder.add_prompt(sequence(3), 0, 3) == 0
    assert builder.chunks == []


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
