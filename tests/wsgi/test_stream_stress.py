"""Thousands of streams over an engine that plays scripts: no wake-up is lost, no stream is left.

All but the engine is real: mailboxes, generations, the pump, the sinks and their connections. What
each request does is drawn with a fixed seed; when its threads have their turns is not.
"""

from __future__ import annotations

import gc
import logging
import queue
import random
import socket
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.wsgi import Response

from pyllama.engine import Mailbox
from pyllama.errors import PyllamaError
from pyllama.generations import Generations
from pyllama.results import Delta
from pyllama.sched import Sequence, TokenSampled
from tests.support.builders import request
from tests.support.engine_room import until
from tests.support.scripted_engine import LETTERS, STOP, EndParser, ScriptedEngine, Step
from wsgi.client import ClientWatch
from wsgi.gunicorn_seam import ChunkedAnswer
from wsgi.pump import Pump
from wsgi.request_log import RequestRecord
from wsgi.sinks import SocketSink
from wsgi.streaming import EventStream
from wsgi.watched import Watched

N_REQUESTS = 2500
N_THREADS = 24
LONG_S = 45.0
PAD_BYTES = 3000
STOP_TOKEN = LETTERS.index(STOP.encode())


@dataclass
class Plan:
    """One request: how it is read, and how it ends."""

    reader: str
    end: str
    scripts: list[list[Step]]
    is_slow: bool
    texts: list[str] = field(default_factory=list)
    """What its answers must be, if they are whole."""
    outcomes: set[str] = field(default_factory=lambda: {"whole"})


def planned(rng: random.Random) -> Plan:
    """Draw a request."""
    reader = rng.choice(["collect", "collect here", "socket", "socket", "body", "library"])
    ends = ["whole", "whole", "whole", "fails", "refused", "closed"]
    end = rng.choice([*ends, "leaves"] if reader == "socket" else ends)
    plan = Plan(reader, end, [], is_slow=reader == "socket" and rng.random() < 0.2)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        tokens = [rng.randrange(len(LETTERS)) for _ in range(rng.randrange(12))]
        text = b"".join(LETTERS[token] for token in tokens).decode()
        plan.texts.append(text.partition(STOP)[0])
        plan.scripts.append([*tokens, "stop"])
    script = rng.choice(plan.scripts)
    at = rng.randrange(len(script))
    is_over = script.index(STOP_TOKEN) < at if STOP_TOKEN in script else False
    if end == "fails":
        script[at:] = ["fail"]
        plan.outcomes = {"whole" if is_over else "failed"}
    elif end == "closed":
        script.insert(at, "close")
        # Until its reader has seen the stop string, an answer goes on.
        plan.outcomes = {"whole", "failed"} if is_over else {"failed"}
    elif end == "refused":
        plan.outcomes = {"failed"}
    elif end == "leaves":
        plan.outcomes = {"whole", "failed"}
    return plan


class Lines:
    """A dialect of lines; those of a slow client are long."""

    media_type = "text/plain"
    ping = b"ping\n"

    def __init__(self, *, has_opening: bool, n_padding: int) -> None:
        self._has_opening = has_opening
        self._padding = n_padding * b"."

    def begin(self) -> bytes | None:
        return b"begin\n" if self._has_opening else None

    def delta(self, index: int, delta: Delta) -> bytes | None:
        return b"%d%s%s\n" % (index, delta.text.encode(), self._padding) if delta.text else None

    def end(self, _generations: Generations) -> bytes:
        return b"end\n"

    def error(self, _info: Any) -> bytes:
        return b"error\n"


def texts_of(lines: list[bytes], n_answers: int) -> list[str]:
    """Return the answers that some lines hold."""
    texts = [""] * n_answers
    for line in lines:
        if line[:1].isdigit():
            texts[int(line[:1])] += line[1:].rstrip(b".").decode()
    return texts


class Siege:
    """All that the requests share."""

    def __init__(self) -> None:
        self.engine = ScriptedEngine(1)
        self.pump = Pump()
        self.alive: list[weakref.ref[Generations]] = []
        self.served: list[int] = []
        self.faults: list[str] = []

    def serve_all(self, plans: list[Plan]) -> list[threading.Thread]:
        """Serve requests on some threads, which a fault does not keep from ending the test."""
        numbers = iter(range(len(plans)))

        def work() -> None:
            # A step of this iterator is one of the interpreter's.
            for number in numbers:
                try:
                    self.serve(plans[number], number)
                except Exception as fault:  # noqa: BLE001 - told by the test
                    self.faults.append(f"{plans[number]}: {fault!r}")
                self.served.append(number)

        threads = [
            threading.Thread(target=work, name=f"own-{i}", daemon=True) for i in range(N_THREADS)
        ]
        for thread in threads:
            thread.start()
        return threads

    def unserved(self, plans: list[Plan]) -> list[Plan]:
        """Return the requests whose threads wait, of those that were begun."""
        missing = set(range(max(self.served) + 1)) - set(self.served)
        return [plans[number] for number in sorted(missing)]

    def serve(self, plan: Plan, seed: int) -> None:
        """Be one request's own thread; fails where its outcome is not the planned one."""
        rng = random.Random(seed)  # noqa: S311
        generations = self.engine.start(*plan.scripts, is_refused=plan.end == "refused")
        self.alive.append(weakref.ref(generations))
        read = getattr(self, "_" + plan.reader.replace(" ", "_"))
        outcome, texts = read(plan, generations, rng)
        assert outcome in plan.outcomes
        if outcome == "whole":
            assert texts == plan.texts

    def _watched(self, generations: Generations, *, has_pump: bool, **environ: Any) -> Watched:
        record = RequestRecord("rid", "POST")
        record.begin("id", 3)
        watch = ClientWatch(environ)
        return Watched(generations, watch, record, self.pump if has_pump else None)

    def _library(self, plan: Plan, generations: Generations, _rng: Any) -> tuple[str, list[str]]:
        texts = [""] * len(plan.texts)
        try:
            for index, delta in generations:
                texts[index] += delta.text
        except PyllamaError:
            return "failed", texts
        return ("whole" if generations.is_whole else "failed"), texts

    def _collect(
        self, _plan: Plan, generations: Generations, _rng: Any, *, has_pump: bool = True
    ) -> tuple[str, list[str]]:
        watched = self._watched(generations, has_pump=has_pump)
        try:
            return "whole", [one.text for one in watched.collect()]
        except PyllamaError:
            return "failed", []
        finally:
            watched.close()

    def _collect_here(self, plan: Plan, generations: Any, rng: Any) -> tuple[str, list[str]]:
        return self._collect(plan, generations, rng, has_pump=False)

    def _body(self, plan: Plan, generations: Any, rng: random.Random) -> tuple[str, list[str]]:
        watched = self._watched(generations, has_pump=True)
        encoder = Lines(has_opening=rng.random() < 0.5, n_padding=0)
        stream = EventStream(watched, encoder)
        body = b"".join(stream)
        stream.close()
        return self._read(plan, body)

    def _socket(self, plan: Plan, generations: Any, rng: random.Random) -> tuple[str, list[str]]:
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        n_bytes = rng.randrange(200) if plan.end == "leaves" else None
        client = Client(theirs, n_bytes, is_slow=plan.is_slow)
        head: Any = type("Head", (), {"version": (1, 1), "method": "POST"})()
        head.should_close = lambda: False
        response = Response(head, ours, Config())
        response.start_response("200 OK", [("Content-Type", "text/plain")])
        watched = self._watched(generations, has_pump=True, **{"gunicorn.socket": ours})
        encoder = Lines(has_opening=rng.random() < 0.5, n_padding=PAD_BYTES if plan.is_slow else 0)
        sink = SocketSink(ChunkedAnswer(response), self.pump)
        stream = EventStream(watched, encoder, socket_sink=sink)
        with ours:
            try:
                for item in stream:
                    response.write(item)
                response.close()
            except OSError:
                pass
            finally:
                stream.close()
        client.thread.join(LONG_S)
        return self._read(plan, client.body)

    def _read(self, plan: Plan, body: bytes) -> tuple[str, list[str]]:
        lines = body.split(b"\n")
        outcome = "whole" if b"end" in lines else "failed"
        assert b"error" not in lines or outcome == "failed"
        return outcome, texts_of(lines, len(plan.texts))


class Client:
    """Reads an answer on a thread of its own: slowly, or not to its end, if it has to."""

    def __init__(self, connection: socket.socket, n_bytes: int | None, *, is_slow: bool) -> None:
        self.body = b""
        self._socket = connection
        self._n_bytes = n_bytes
        self._is_slow = is_slow
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        data = b""
        with self._socket:
            while self._n_bytes is None or len(data) < self._n_bytes:
                if self._is_slow:
                    time.sleep(0.002)
                try:
                    part = self._socket.recv(4096)
                except ConnectionResetError:
                    break
                if not part:
                    break
                data += part
        if self._n_bytes is None:
            self.body = _dechunked(data.partition(b"\r\n\r\n")[2])


def _dechunked(data: bytes) -> bytes:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        n_bytes = int(size, 16)
        body += data[:n_bytes]
        assert data[n_bytes : n_bytes + 2] == b"\r\n"
        data = data[n_bytes + 2 :]
    return body


@pytest.fixture
def _many_turns() -> Iterator[None]:
    """Threads take turns far more often than they do by themselves."""
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    yield
    sys.setswitchinterval(interval_s)


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("_many_turns")
def test_no_stream_of_thousands_is_lost_or_left(caplog: pytest.LogCaptureFixture) -> None:
    """Each ends as planned, in time; afterwards nobody holds, runs or waits for any of them."""
    # A log record of a failure would hold the stream that failed.
    caplog.set_level(logging.CRITICAL, "pyllama.wsgi")
    EndParser.ended_on.clear()
    siege, rng = Siege(), random.Random(7)  # noqa: S311
    plans = [planned(rng) for _ in range(N_REQUESTS)]
    served_all = siege.serve_all(plans)
    deadline_s = time.monotonic() + LONG_S
    while len(siege.served) < N_REQUESTS and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert siege.faults == []
    assert len(siege.served) == N_REQUESTS, f"never woken again: {siege.unserved(plans)}"
    for thread in served_all:
        thread.join(LONG_S)
    until(lambda: siege.engine.n_open == 0)
    assert not siege.pump._tasks
    siege.engine.close()
    # The pump may hold the last one that it ran.
    until(lambda: gc.collect() >= 0 and not any(reference() for reference in siege.alive))
    assert not [name for name in EndParser.ended_on if not name.startswith("own")]
    assert len({(plan.reader, plan.end) for plan in plans}) == 5 * 4 + 1


@pytest.mark.timeout(60)
@pytest.mark.usefixtures("_many_turns")
def test_no_notification_of_a_mailbox_is_lost() -> None:
    """Whoever is quicker, who posts or who receives: what was posted is received without more."""
    mailbox = Mailbox()
    streams = [mailbox.stream() for _ in range(3)]
    ready: queue.SimpleQueue[None] = queue.SimpleQueue()
    mailbox.notify(lambda: ready.put(None))
    n_posts, n_received = 60_000, 0
    sequence = Sequence(request())

    def post() -> None:
        for number in range(n_posts):
            streams[number % 3].put(TokenSampled(sequence, 0.0, number))

    thread = threading.Thread(target=post, daemon=True)
    thread.start()
    last = [-1, -1, -1]
    while n_received < n_posts:
        ready.get(timeout=LONG_S / 3)
        for index in mailbox.receive(0):
            for event in streams[index].take():
                assert isinstance(event, TokenSampled)
                assert event.token > last[index]
                last[index] = event.token
                n_received += 1
    thread.join(LONG_S)
    assert ready.qsize() < n_posts
