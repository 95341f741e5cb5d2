"""Ends of answers on the pump: what takes long there is done by the request's own thread."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.wsgi import Response

from pyllama.engine import Mailbox
from pyllama.engine.ticket import Ticket
from pyllama.errors import Cancelled, InvalidResponse
from pyllama.generation import Generation
from pyllama.generations import Generations
from pyllama.results import Completion
from pyllama.sched import Finished, Sequence, Started, TokenSampled
from pyllama.text import AnswerReader, Detokenizer, Prompt, StopMatcher
from pyllama.text.output import OutputDelta
from tests.support.builders import request
from tests.support.fake_llama import FakeLlama
from wsgi.client import ClientWatch
from wsgi.gunicorn_seam import ChunkedAnswer
from wsgi.openai.encode_completion import CompletionEncoder
from wsgi.openai.parse_completion import parse_completion
from wsgi.pump import Pump
from wsgi.request_log import RequestRecord
from wsgi.sinks import SocketSink
from wsgi.streaming import EventStream
from wsgi.watched import Watched

LONG_S = 20.0


class SlowEnd:
    """A parser whose last step waits to be let on, and may then refuse the answer."""

    has_tool_calls = False

    def __init__(self, *, is_refused: bool = False) -> None:
        self.is_refused = is_refused
        self.fed: set[str] = set()
        self.finished_on = ""
        self.is_finishing = threading.Event()
        self.may_go_on = threading.Event()

    def feed(self, text: str) -> OutputDelta:
        """Take all text as content."""
        self.fed.add(threading.current_thread().name)
        return OutputDelta(content=text)

    def finish(self, *, is_cut: bool) -> OutputDelta:
        """Wait."""
        assert not is_cut
        self.finished_on = threading.current_thread().name
        self.is_finishing.set()
        assert self.may_go_on.wait(LONG_S)
        if self.is_refused:
            raise InvalidResponse("the answer is not what was asked for", details=[])
        return OutputDelta(content="!")


class FakeEngine:
    """Takes no note of aborts."""

    def abort(self, ticket: Ticket, _reason: str = "cancelled") -> None:
        ticket.stream.close()


class Answers:
    """Answers of one request, and the engine thread's end of their streams."""

    def __init__(self, *parsers: SlowEnd, stop: str = "") -> None:
        mailbox = Mailbox()
        self.tickets: list[Ticket] = []
        made = []
        engine: Any = FakeEngine()
        for parser in parsers:
            ticket = Ticket(request(3, 9), mailbox)
            reader = AnswerReader(
                Detokenizer([b"a", b"b", b"."]), StopMatcher([stop] if stop else []), parser
            )
            made.append(Generation(engine, ticket, reader, Prompt(ticket.request.tokens)))
            self.tickets.append(ticket)
        self.generations = Generations(made, mailbox)

    def tell(self, index: int, *tokens: int, is_last: bool = False) -> None:
        """Sample tokens of an answer."""
        ticket = self.tickets[index]
        sequence = Sequence(ticket.request)
        ticket.stream.put(Started(sequence, 1.0, 0))
        for token in tokens:
            ticket.stream.put(TokenSampled(sequence, 2.0, token))
        if is_last:
            ticket.stream.put(Finished(sequence, 3.0, "stop"))


class Collected:
    """A request whose answers are collected on a thread of its own."""

    def __init__(self, pump: Pump, answers: Answers) -> None:
        self.completions: list[Completion] = []
        record = RequestRecord("rid", "POST")
        record.begin("id", 3)
        self._watched = Watched(answers.generations, ClientWatch({}), record, pump)
        self.thread = threading.Thread(target=self._collect, name="own", daemon=True)
        self.thread.start()

    def _collect(self) -> None:
        self.completions = self._watched.collect()


@pytest.mark.parametrize("stop", ["", "."])
def test_an_end_that_takes_long_holds_up_nobody(stop: str) -> None:
    """While one answer's end is computed, on its own thread, the pump serves the others."""
    pump, slow, quick = Pump(), SlowEnd(), SlowEnd()
    quick.may_go_on.set()
    held, other = Answers(slow, stop=stop), Answers(quick)
    first, second = Collected(pump, held), Collected(pump, other)
    held.tell(0, 0, 1)
    held.tell(0, *([2] if stop else []), is_last=not stop)
    assert slow.is_finishing.wait(LONG_S)
    other.tell(0, 1, 1)
    other.tell(0, 0, is_last=True)
    second.thread.join(LONG_S)
    assert second.completions[0].text == "bba!"
    assert first.thread.is_alive()
    slow.may_go_on.set()
    first.thread.join(LONG_S)
    assert first.completions[0].text == "ab!"
    assert (slow.finished_on, quick.finished_on) == ("own", "own")
    assert slow.fed | quick.fed <= {"pyllama-pump", "own"}
    assert "pyllama-pump" in quick.fed


def test_answers_of_one_request_end_one_by_one() -> None:
    """After the end of one answer the pump goes on with the others."""
    parsers = [SlowEnd(), SlowEnd(), SlowEnd()]
    answers = Answers(*parsers)
    collected = Collected(Pump(), answers)
    for index in (1, 0, 2):
        answers.tell(index, 0, 1)
    for index in (1, 0, 2):
        answers.tell(index, index, is_last=True)
        assert parsers[index].is_finishing.wait(LONG_S)
        parsers[index].may_go_on.set()
    collected.thread.join(LONG_S)
    assert [one.text for one in collected.completions] == ["aba!", "abb!", "ab.!"]
    assert {parser.finished_on for parser in parsers} == {"own"}


def test_answers_that_another_thread_closed_are_no_longer_waited_for() -> None:
    """Who closes the answers ends the wait of the request's own thread, on the pump or off it."""
    answers = Answers(SlowEnd(), SlowEnd())
    record = RequestRecord("rid", "POST")
    record.begin("id", 3)
    for pump in (Pump(), None):
        watched = Watched(answers.generations, ClientWatch({}), record, pump)
        threading.Timer(0.05, answers.generations.close).start()
        with pytest.raises(Cancelled, match="closed before it was complete"):
            watched.collect()


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_stream_ends_with_what_its_own_thread_computed(
    pair: tuple[socket.socket, socket.socket], *, is_refused: bool
) -> None:
    """All that was certain is sent by then; the end, or what is wrong with it, follows."""
    llm: Any = FakeLlama()
    order = parse_completion({"prompt": "a"}, llm)
    parser = SlowEnd(is_refused=is_refused)
    answers = Answers(parser)
    encoder = CompletionEncoder(llm, order, order.make_prompts(llm), answers.generations)
    record = RequestRecord("rid", "POST")
    record.begin("id", 3)
    made: Any = type("Made", (), {"version": (1, 1), "method": "POST"})()
    made.should_close = lambda: False
    response = Response(made, pair[0], Config())
    response.start_response("200 OK", [("Content-Type", "text/event-stream")])
    pump = Pump()
    watched = Watched(answers.generations, ClientWatch({}), record, pump)
    stream = EventStream(watched, encoder, socket_sink=SocketSink(ChunkedAnswer(response), pump))

    def serve() -> None:
        for item in stream:
            response.write(item)
        response.close()
        stream.close()

    thread = threading.Thread(target=serve, name="own", daemon=True)
    thread.start()
    for _ in range(20):
        answers.tell(0, 0)
    answers.tell(0, 1, is_last=True)
    assert parser.is_finishing.wait(LONG_S)
    parser.may_go_on.set()
    thread.join(LONG_S)
    pair[0].shutdown(socket.SHUT_WR)
    pair[1].settimeout(LONG_S)
    body = b"".join(iter(lambda: pair[1].recv(1 << 16), b""))
    assert parser.finished_on == "own"
    assert (b"is not what was asked for" in body) == is_refused
    assert (b"[DONE]" in body) != is_refused
    assert (b'!"' in body) != is_refused
