"""Answers put together from what was read, and several of them under one consumer."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pyllama.engine import Failed, Mailbox
from pyllama.engine.ticket import Ticket
from pyllama.errors import EngineError, InvalidResponse
from pyllama.generation import Generation
from pyllama.generations import Generations
from pyllama.results import ToolCall, ToolCallDelta
from pyllama.sched import Finished, Sequence, Started, TokenSampled
from pyllama.text import Answer, AnswerReader, Detokenizer, OutputParser, Prompt, StopMatcher
from pyllama.text.output import OutputDelta
from tests.support.builders import request

PIECES = [b"a", b"b", b"<c>"]


def call(index: int, name: str, arguments: str) -> ToolCallDelta:
    """A piece of a call; only the first piece has an id."""
    return ToolCallDelta(
        index=index, id=f"call_{index}" if name else "", name=name, arguments=arguments
    )


def test_pieces_become_one_delta() -> None:
    """What was read since the last delta comes in one, each kind in its place."""
    answer = Answer()
    answer.add(OutputDelta(reasoning="hm"))
    answer.add(OutputDelta(content="x"))
    answer.add(OutputDelta(content="y", tool_calls=(call(0, "f", "{"),)))
    delta = answer.take(3, None)
    assert delta is not None
    assert (delta.reasoning, delta.text, delta.n_tokens) == ("hm", "xy", 3)
    assert delta.tool_calls == (call(0, "f", "{"),)
    assert answer.take(3, None) is None


def test_calls_are_joined() -> None:
    """The pieces of each call make one call, whatever their order."""
    answer = Answer()
    for piece in (call(0, "f", "{"), call(1, "g", "["), call(0, "", "}"), call(1, "", "]")):
        answer.add(OutputDelta(tool_calls=(piece,)))
    assert answer.tool_calls == (
        ToolCall(id="call_0", name="f", arguments="{}"),
        ToolCall(id="call_1", name="g", arguments="[]"),
    )


class Shouter(OutputParser):
    """Takes everything as a call's arguments, and may dislike the whole of it."""

    def __init__(self, error: InvalidResponse | None = None) -> None:
        self.has_tool_calls = False
        self.error = error

    def feed(self, text: str) -> OutputDelta:
        """Start the call with the first text."""
        piece = call(0, "" if self.has_tool_calls else "shout", text)
        self.has_tool_calls = True
        return OutputDelta(tool_calls=(piece,)) if text else OutputDelta()

    def finish(self, *, is_cut: bool) -> OutputDelta:
        """Check what is whole."""
        if self.error is not None and not is_cut:
            raise self.error
        return OutputDelta()


class Aborts:
    """An engine that remembers what it was told to abort."""

    def __init__(self) -> None:
        self.aborted: list[Ticket] = []

    def abort(self, ticket: Ticket, reason: str = "cancelled") -> None:
        """Remember."""
        self.aborted.append(ticket)
        ticket.stream.close()


class Room:
    """Some generations under one consumer, and the engine thread's end of their streams."""

    def __init__(self, n: int, *, prompts: int = 1, parser: OutputParser | None = None) -> None:
        self.engine = Aborts()
        engine: Any = self.engine
        mailbox = Mailbox()
        shared = [Prompt((1, 2, 3)) for _ in range(prompts)]
        self.tickets = [Ticket(request(3, 9), mailbox) for _ in range(n)]
        self.sequences = [Sequence(ticket.request) for ticket in self.tickets]
        self.generations = Generations(
            [
                Generation(
                    engine,
                    ticket,
                    AnswerReader(Detokenizer(PIECES), StopMatcher(()), parser),
                    shared[i % prompts],
                )
                for i, ticket in enumerate(self.tickets)
            ],
            mailbox,
        )

    def token(self, index: int, token: int) -> None:
        """Sample a token."""
        self.tickets[index].stream.put(TokenSampled(self.sequences[index], 3.0, token))

    def finish(self, index: int, reason: Any = "stop") -> None:
        """End an answer."""
        self.tickets[index].stream.put(Finished(self.sequences[index], 4.0, reason))


def test_deltas_come_with_their_index() -> None:
    """One consumer reads several answers in the order in which they grow."""
    room = Room(2)
    room.token(1, 0)
    room.token(0, 1)
    pairs = [room.generations.poll(0), room.generations.poll(0)]
    assert [(pair[0], pair[1].text) for pair in pairs if pair] == [(1, "a"), (0, "b")]
    assert room.generations.poll(0) is None


def test_one_notification_for_all_that_comes_before_it_is_read() -> None:
    """However many answers there are, the consumer is called once until it reads; then again."""
    room, calls = Room(2), list[str]()
    generations = room.generations
    generations.notify(lambda: calls.append("call"))
    room.token(0, 0)
    room.token(1, 1)
    room.token(0, 0)
    assert calls == ["call"]
    assert generations.read(0) is not None
    room.token(0, 0)
    assert calls == ["call", "call"]
    while generations.read(0) is not None:
        pass
    generations.notify(None)
    room.token(0, 0)
    assert calls == ["call", "call"]


def test_no_read_makes_a_last_delta() -> None:
    """Who reads gets none of an answer's end, and is told of it; who finishes gets that alone."""
    room = Room(2)
    generations = room.generations
    room.token(0, 0)
    room.finish(0)
    room.token(1, 1)
    assert generations.read(0) is None
    seen = [generations.is_ending]
    # The other answer waits for it.
    assert generations.read(0) is None
    last = generations.finish()
    assert last is not None
    assert (last[0], last[1].text, last[1].finish_reason) == (0, "a", "stop")
    seen.append(generations.is_ending)
    assert seen == [True, False]
    assert generations.finish() is None
    other = generations.read(0)
    assert other is not None
    assert (other[0], other[1].text, other[1].finish_reason) == (1, "b", None)
    are_whole = [generations.is_whole]
    room.finish(1)
    assert generations.poll(0) is not None
    are_whole.append(generations.is_whole)
    assert are_whole == [False, True]


def test_an_answer_that_is_closed_on_its_own_leaves_the_others() -> None:
    """Who reads the rest waits for that only, and is not kept for ever."""
    room = Room(2)
    room.generations.generations[0].close()
    room.token(1, 1)
    room.finish(1)
    assert [(index, delta.text) for index, delta in room.generations] == [(1, "b")]
    assert not room.generations.is_whole


def test_answers_may_be_read_one_by_one() -> None:
    """What came for the others meanwhile is kept for them."""
    room = Room(2)
    room.token(1, 1)
    room.token(0, 0)
    room.finish(1)
    room.finish(0)
    first, second = room.generations.generations
    assert first.result().text == "a"
    assert second.result().text == "b"


@pytest.mark.timeout(60)
def test_a_close_from_another_thread_ends_the_wait() -> None:
    """Who waits for any of several answers is told at once that they were closed."""
    for _ in range(200):
        room = Room(3)
        thread = threading.Thread(target=list, args=(room.generations,), daemon=True)
        thread.start()
        room.generations.close()
        thread.join(10)
        assert not thread.is_alive()


def test_end_comes_with_the_last_answer() -> None:
    """One answer's end is not the end of the others."""
    room = Room(2)
    room.finish(0)
    room.token(1, 0)
    room.finish(1, "length")
    assert [completion.finish_reason for completion in room.generations.results()] == [
        "stop",
        "length",
    ]
    with pytest.raises(StopIteration):
        room.generations.poll(0)


def test_prompt_of_several_answers_counts_once() -> None:
    """Usage counts a shared prompt once, and different prompts each."""
    alike, different = Room(2), Room(2, prompts=2)
    for room in (alike, different):
        room.token(0, 0)
        room.token(1, 0)
        list(iter(lambda room=room: room.generations.poll(0), None))  # type: ignore[misc]
    assert alike.generations.usage.prompt_tokens == 3
    assert different.generations.usage.prompt_tokens == 6
    assert alike.generations.usage.completion_tokens == 2


def test_failure_of_one_ends_all() -> None:
    """Nobody reads the rest of a request that has failed, so its slots are freed."""
    room = Room(2)
    room.tickets[0].stream.put(Failed(EngineError("broken")))
    with pytest.raises(EngineError):
        room.generations.poll(0)
    assert room.tickets[1] in room.engine.aborted
    with pytest.raises(StopIteration):
        room.generations.poll(0)


def test_answer_with_calls_says_so() -> None:
    """An answer that ends by itself and calls tools has that as its reason."""
    room = Room(1, parser=Shouter())
    room.tickets[0].stream.put(Started(room.sequences[0], 2.0, 0))
    room.token(0, 2)
    room.finish(0)
    (completion,) = room.generations.results()
    assert completion.finish_reason == "tool_calls"
    assert completion.tool_calls == (ToolCall(id="call_0", name="shout", arguments="<c>"),)


def test_answer_that_was_cut_is_not_whole() -> None:
    """An answer cut by its token limit says that, calls or not, and is not checked."""
    room = Room(1, parser=Shouter(InvalidResponse("never seen")))
    room.token(0, 2)
    room.finish(0, "length")
    assert room.generations.results()[0].finish_reason == "length"


def test_answer_that_is_wrong_raises() -> None:
    """An answer that is not what was asked for is an error at its end."""
    room = Room(1, parser=Shouter(InvalidResponse("not so")))
    room.finish(0)
    with pytest.raises(InvalidResponse):
        room.generations.results()
