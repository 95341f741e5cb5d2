"""From events to deltas: the stream of one request and the generation that reads it."""

from __future__ import annotations

import gc
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from pyllama.engine import Failed, Mailbox
from pyllama.engine.ticket import Ticket
from pyllama.errors import Cancelled, NativeError
from pyllama.generation import Generation
from pyllama.generations import Generations
from pyllama.sched import Finished, Sequence, Started, TokenSampled, Verified
from pyllama.text import AnswerReader, Detokenizer, Prompt, StopMatcher
from tests.support.builders import request

PIECES = [b"a", b"b", b"\n", "🦙".encode()[:2], "🦙".encode()[2:]]
LONG_S = 10.0


class FakeEngine:
    """Takes note of aborts."""

    def __init__(self) -> None:
        self.aborted: list[Ticket] = []

    def abort(self, ticket: Ticket, reason: str = "cancelled") -> None:
        self.aborted.append(ticket)
        ticket.stream.close()


class Feed:
    """One generation, and the engine thread's end of its stream."""

    def __init__(self, *stops: str, n_prompt: int = 5) -> None:
        self.engine = FakeEngine()
        self.ticket = Ticket(request(n_prompt, 9, arrival_s=1.0))
        self.sequence = Sequence(self.ticket.request)
        engine: Any = self.engine
        reader = AnswerReader(Detokenizer(PIECES), StopMatcher(stops))
        prompt = Prompt(self.ticket.request.tokens)
        self.generation = Generation(engine, self.ticket, reader, prompt)

    def start(self, now_s: float = 2.0, n_cached: int = 0) -> None:
        self.ticket.stream.put(Started(self.sequence, now_s, n_cached))

    def token(self, token: int, now_s: float = 3.0) -> None:
        self.ticket.stream.put(TokenSampled(self.sequence, now_s, token))

    def finish(self, reason: Any = "stop") -> None:
        self.ticket.stream.put(Finished(self.sequence, 9.0, reason))


def test_tokens_become_deltas() -> None:
    """Text comes as soon as it is certain; the last delta has the reason, then it is over."""
    feed = Feed()
    feed.start()
    feed.token(0)
    first = feed.generation.poll(0)
    assert first is not None
    assert (first.text, first.n_tokens, first.finish_reason) == ("a", 1, None)
    feed.token(1)
    feed.finish("length")
    last = next(feed.generation)
    assert (last.text, last.n_tokens, last.finish_reason) == ("b", 2, "length")
    assert list(feed.generation) == []
    with pytest.raises(StopIteration):
        feed.generation.poll(0)
    assert feed.engine.aborted == []


def test_an_end_without_a_last_delta_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were an end ever to bring no delta, the reader would be told instead of kept for ever."""
    feed = Feed()
    feed.start()
    feed.finish()
    monkeypatch.setattr(feed.generation._answer, "take", lambda *_: None)
    with pytest.raises(AssertionError, match="without a last delta"):
        feed.generation.poll(LONG_S)


def test_a_poll_comes_back_in_time() -> None:
    """None says that nothing became certain, also where events came that make no text."""
    feed = Feed()
    assert feed.generation.poll(0.01) is None
    feed.start()
    feed.token(3)
    start_s = time.monotonic()
    assert feed.generation.poll(0.05) is None
    assert time.monotonic() - start_s < LONG_S / 2
    feed.token(4)
    delta = feed.generation.poll(0.05)
    assert delta is not None
    assert delta.text == "🦙"


def test_a_stop_string_ends_the_answer() -> None:
    """At the match the text is cut, the engine told, and what still comes is dropped."""
    feed = Feed("\na")
    feed.start()
    for token in (1, 2, 0, 1):
        feed.token(token)
    feed.finish("length")
    completion = feed.generation.result()
    assert (completion.text, completion.finish_reason) == ("b", "stop")
    assert completion.stop_sequence == "\na"
    assert completion.usage.completion_tokens == 3
    assert feed.engine.aborted == [feed.ticket]


def test_held_text_comes_out_at_the_end() -> None:
    """The beginning of a stop string that never came is part of the answer."""
    feed = Feed("\na")
    feed.start()
    feed.token(1)
    feed.token(2)
    feed.finish()
    assert feed.generation.result().text == "b\n"


def test_half_a_character_at_the_end_is_dropped() -> None:
    """An answer that was cut inside a character is whole up to it."""
    feed = Feed()
    feed.start()
    feed.token(0)
    feed.token(3)
    feed.finish("length")
    assert feed.generation.result().text == "a"


def test_an_answer_may_be_empty() -> None:
    """An end at once is one delta without text."""
    feed = Feed()
    feed.start()
    feed.finish()
    (delta,) = list(feed.generation)
    assert (delta.text, delta.n_tokens, delta.finish_reason) == ("", 0, "stop")


def test_usage_and_timings_are_the_engines() -> None:
    """Durations run from submission over start and first token to the last, cached left out."""
    feed = Feed(n_prompt=5)
    feed.start(now_s=2.0, n_cached=3)
    feed.token(0, now_s=2.5)
    # Preempted and started again: the first start counts.
    feed.start(now_s=4.0, n_cached=1)
    feed.token(1, now_s=5.5)
    feed.finish()
    completion = feed.generation.result()
    usage, timings = completion.usage, completion.timings
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cached_tokens) == (5, 2, 3)
    assert (timings.cache_n, timings.prompt_n, timings.predicted_n) == (3, 2, 2)
    assert timings.queue_ms == pytest.approx(1000)
    assert timings.prompt_ms == pytest.approx(500)
    assert timings.predicted_ms == pytest.approx(3000)


def test_drafts_are_counted() -> None:
    """Guessed tokens and those that were right add up over the steps."""
    feed = Feed()
    feed.start()
    for n_accepted in (0, 3):
        feed.ticket.stream.put(Verified(feed.sequence, 3.0, 4, n_accepted))
        feed.token(0)
    feed.finish()
    timings = feed.generation.result().timings
    assert (timings.draft_n, timings.draft_n_accepted) == (8, 3)


def test_drafts_of_several_answers_are_counted_together() -> None:
    """The timings of a request have the drafts of each of its answers."""
    feeds = (Feed(), Feed())
    for n_accepted, feed in enumerate(feeds, 1):
        feed.start()
        feed.ticket.stream.put(Verified(feed.sequence, 3.0, 4, n_accepted))
        feed.token(0)
        feed.finish()
        feed.generation.result()
    timings = Generations([feed.generation for feed in feeds], Mailbox()).timings
    assert (timings.draft_n, timings.draft_n_accepted) == (8, 3)


def test_a_generation_that_runs_has_no_reason_yet() -> None:
    """Before the last delta asking why it ended is a mistake, and said to be one."""
    with pytest.raises(RuntimeError, match="has not ended"):
        _ = Feed().generation.finish_reason


@pytest.mark.parametrize("error", [Cancelled("closed"), NativeError("llama_decode", -1)])
def test_a_failure_is_raised_once(error: Exception) -> None:
    """The engine's error reaches the consumer; after it the generation is over."""
    feed = Feed()
    feed.ticket.stream.put(Failed(error))  # type: ignore[arg-type]
    with pytest.raises(type(error)):
        next(feed.generation)
    assert list(feed.generation) == []


def test_close_aborts_once() -> None:
    """Close tells the engine, drops what comes, and may be called again."""
    feed = Feed()
    with feed.generation as generation:
        feed.token(0)
        assert next(generation).text == "a"
    feed.generation.close()
    feed.token(0)
    assert list(feed.generation) == []
    assert feed.engine.aborted == [feed.ticket]


def test_close_after_the_end_aborts_nothing() -> None:
    """A complete answer leaves the engine alone."""
    feed = Feed()
    feed.finish()
    feed.generation.result()
    feed.generation.close()
    assert feed.engine.aborted == []


@pytest.mark.parametrize("timeout_s", [None, LONG_S])
def test_a_close_from_another_thread_wakes_the_consumer(timeout_s: float | None) -> None:
    """Who waits for text when somebody else closes is told at once that it is over."""
    feed = Feed()
    ends: list[str] = []

    def consume() -> None:
        try:
            feed.generation.poll(timeout_s)
        except StopIteration:
            ends.append("over")

    thread = threading.Thread(target=consume, daemon=True)
    thread.start()
    time.sleep(0.05)
    feed.generation.close()
    thread.join(LONG_S / 2)
    assert ends == ["over"]


def test_an_answer_that_nobody_reads_is_not_computed() -> None:
    """Dropping the last reference to a running generation aborts it."""
    feed = Feed()
    feed.token(0)
    next(feed.generation)
    del feed.generation
    gc.collect()
    assert feed.engine.aborted == [feed.ticket]


def test_a_stream_hands_over_all_that_is_there() -> None:
    """One get returns every event that came meanwhile, in order."""
    feed = Feed()
    stream = Mailbox().stream()
    events = [TokenSampled(feed.sequence, float(number), number) for number in range(5)]
    for event in events:
        stream.put(event)
    assert stream.get(None) == events
    assert stream.get(0) == []


def test_a_closed_stream_takes_nothing() -> None:
    """What is put after the close is dropped, and a get returns none at once."""
    feed = Feed()
    stream = Mailbox().stream()
    stream.close()
    stream.put(Started(feed.sequence, 0.0, 0))
    assert stream.is_closed
    assert stream.get(None) == []


class Moments(queue.SimpleQueue[Any]):
    """A queue that lets something else happen at one moment: behind its so-many-th operation."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self.n = 0
        self._at = at
        self._act = act

    def _pass(self) -> None:
        self.n += 1
        if self.n == self._at:
            self._act()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: FBT001, FBT002
        super().put(item)
        self._pass()

    def empty(self) -> bool:
        is_empty = super().empty()
        self._pass()
        return is_empty

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: FBT001, FBT002
        item = super().get(block, timeout)
        self._pass()
        return item

    def get_nowait(self) -> Any:
        item = super().get_nowait()
        self._pass()
        return item


@pytest.mark.parametrize("other", ["posts", "receives"])
@pytest.mark.parametrize("at", range(1, 22))
def test_no_moment_loses_a_notification(other: str, at: int) -> None:
    """Whatever another thread does, and when: who is notified receives all without more."""
    mailbox = Mailbox()
    stream, neighbour = mailbox.stream(), mailbox.stream()
    sequence = Sequence(request())
    ready: list[None] = []
    received: list[int] = []
    is_receiving = False

    def post(number: int) -> None:
        (neighbour if number == 7 else stream).put(TokenSampled(sequence, 0.0, number))

    def receive() -> None:
        nonlocal is_receiving
        # There is one consumer: it is not interrupted by itself.
        while ready and not is_receiving:
            ready.pop()
            is_receiving = True
            for index in mailbox.receive(0):
                events = (stream, neighbour)[index].take()
                received.extend(event.token for event in events)  # type: ignore[union-attr]
            is_receiving = False

    mailbox._posts = moments = Moments(at, receive if other == "receives" else lambda: post(7))
    mailbox.notify(lambda: ready.append(None))
    for number in range(3):
        post(number)
        post(number + 3)
        receive()
        # Nothing waits for what is posted next.
        assert moments.qsize() == 0
    expected = {0, 1, 2, 3, 4, 5}
    assert moments.n >= at
    assert set(received) == expected | ({7} if other == "posts" else set())
    assert len(received) == len(set(received))


def test_who_is_called_at_the_first_post_finds_it() -> None:
    """By the time that a consumer is notified, there is something to receive."""
    mailbox = Mailbox()
    stream = mailbox.stream()
    found: list[int] = []
    mailbox.notify(lambda: found.append(len(mailbox.receive(0))))
    for _ in range(3):
        stream.put(Started(Sequence(request()), 0.0, 0))
    assert found == [1, 1, 1]
