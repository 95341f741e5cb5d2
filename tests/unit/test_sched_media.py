"""Media among the tokens of prompts: computed whole, in turn with text, and cached like it."""

from __future__ import annotations

import pytest

from pyllama.errors import InvalidRequest
from pyllama.sched import Finished, Limits, MediaSpan, Request, Scheduler, Started
from tests.support.builders import Driver, limits, pictured, pool, request, shape

PICTURE, OTHER = (-7,) * 30, (-8,) * 30
TEXT = tuple(range(100, 110))


def kinds(driver: Driver) -> str:
    """Return what each step computed: text, a picture, or nothing."""
    return "".join(
        "." if not plan.chunks else "t" if plan.media is None else "p" for plan in driver.plans
    )


def n_cached(driver: Driver) -> list[int]:
    return [event.n_cached for event in driver.events if isinstance(event, Started)]


def test_a_picture_is_computed_whole_between_the_texts_around_it() -> None:
    """Its step holds nothing else, and may be larger than a batch."""
    driver = Driver(Scheduler(limits(n_batch=16)))
    driver.scheduler.add(pictured([TEXT, PICTURE, TEXT], 1))
    driver.finish()
    assert [shape(plan) for plan in driver.plans] == [[(0, 0, 10)], [(0, 10, 30)], [(0, 40, 10)]]
    assert kinds(driver) == "tpt"


def test_running_streams_get_a_token_between_two_pictures() -> None:
    """Text and pictures take turns while there is text to compute."""
    driver = Driver(Scheduler(limits()))
    driver.scheduler.add(request(10, 50))
    driver.step()
    driver.scheduler.add(pictured([PICTURE, OTHER, PICTURE, TEXT], 1))
    for _ in range(6):
        driver.step(duration_s=0.1)
    assert kinds(driver) == "tptptpt"


def test_small_pictures_share_a_turn() -> None:
    """Between two of them there is no text, until they have taken a quarter of a step's time."""
    driver = Driver(Scheduler(limits(), step_s=0.4))
    driver.scheduler.add(request(10, 50))
    driver.step()
    driver.scheduler.add(pictured([*[(-10 - i,) * 4 for i in range(9)], TEXT], 1))
    for _ in range(10):
        driver.step(duration_s=0.03)
    assert kinds(driver) == "tpppptppppt"


def test_sequences_with_pictures_take_turns() -> None:
    """One with many pictures does not keep one with a single picture waiting."""
    driver = Driver(Scheduler(limits(n_slots=2)))
    driver.scheduler.add(pictured([PICTURE, PICTURE, PICTURE, TEXT], 1))
    driver.scheduler.add(pictured([OTHER, TEXT], 1))
    driver.step()
    driver.step()
    assert [plan.chunks[0].seq_id for plan in driver.plans] == [0, 1]


def test_a_picture_waits_for_cells() -> None:
    """A stream that grew into those of a last picture keeps them; the picture comes later."""
    # A picture is a turn.
    driver = Driver(Scheduler(pool(193, n_slots=2), step_s=0.04))
    stream = driver.scheduler.add(request(10, 12))
    driver.step()
    others = [(-10 - index,) * 30 for index in range(6)]
    asker = driver.scheduler.add(pictured([*others, (1,)], 1))
    driver.finish()
    ends = {event.sequence: event.reason for event in driver.events if isinstance(event, Finished)}
    assert ends == {stream: "length", asker: "length"}
    assert stream.n_generated == 12
    assert kinds(driver).count("p") > len(others), "it never lacked cells"


@pytest.mark.parametrize("layout", [limits(), pool(1000)])
def test_the_same_picture_is_not_computed_twice(layout: Limits) -> None:
    """A second question about it starts behind it; one about another picture before it."""
    driver = Driver(Scheduler(layout))
    for parts in ([TEXT, PICTURE, TEXT], [TEXT, PICTURE, (1, 2)], [TEXT, OTHER, TEXT]):
        driver.scheduler.add(pictured(parts, 1))
        driver.finish()
    assert n_cached(driver) == [0, 40, 10]
    assert kinds(driver).count("p") == 2


def test_a_picture_is_shared_with_one_who_still_runs() -> None:
    """Another slot takes its cells from the sequence that computed it."""
    driver = Driver(Scheduler(limits()))
    driver.scheduler.add(pictured([TEXT, PICTURE, TEXT], 50))
    for _ in range(3):
        driver.step()
    driver.scheduler.add(pictured([TEXT, PICTURE, (1, 2)], 1))
    driver.step()
    assert n_cached(driver) == [0, 40]


def test_who_leaves_while_its_picture_is_due_holds_up_nobody() -> None:
    """The next turn is another sequence's."""
    driver = Driver(Scheduler(limits()))
    first = driver.scheduler.add(pictured([PICTURE, OTHER, TEXT], 1))
    driver.scheduler.add(pictured([OTHER, TEXT], 1))
    driver.step()
    driver.scheduler.abort(first, driver.now_s)
    driver.finish()
    assert kinds(driver) == "ppt"


def test_a_prompt_ends_with_text() -> None:
    """One that ends with a picture is refused: a picture says nothing of what comes next."""
    with pytest.raises(InvalidRequest, match="end with text"):
        pictured([TEXT, PICTURE])


def test_pictures_are_not_scored() -> None:
    """Nobody can say how likely they were."""
    with pytest.raises(InvalidRequest, match="excludes media"):
        Request(
            id="r",
            tokens=(-1, 5),
            max_tokens=1,
            arrival_s=0.0,
            cache_prompt=False,
            prompt_logprobs=1,
            media=(MediaSpan(0, 1, None),),
        )


def test_a_small_picture_is_worth_a_copy() -> None:
    """Though it has few tokens: it would be encoded, and have a step of its own."""
    driver = Driver(Scheduler(limits(n_slots=3)))
    for parts in ([TEXT, (1, 2)], [TEXT, (-5,) * 4, TEXT]):
        driver.scheduler.add(pictured(parts, 50))
        driver.step()
        driver.step()
        driver.step()
    driver.scheduler.add(pictured([TEXT, (-5,) * 4, (3, 4)], 1))
    driver.step()
    assert n_cached(driver)[-1] == 14


def test_who_asks_of_the_same_picture_at_once_waits_for_it() -> None:
    """Both pictures of the prompt are computed once."""
    driver = Driver(Scheduler(limits()))
    for _ in range(2):
        driver.scheduler.add(pictured([(-5,) * 4, (-6,) * 4, TEXT], 1))
    driver.finish()
    assert kinds(driver).count("p") == 2
    assert n_cached(driver) == [0, 17]
