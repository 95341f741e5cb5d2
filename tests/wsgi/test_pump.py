"""The thread that serves all answers: its tasks by hand, and streams over a real connection."""

from __future__ import annotations

import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from falcon import testing
from gunicorn.config import Config
from gunicorn.http.wsgi import Response

from pyllama.errors import EngineError
from pyllama.params import GenerationParams
from tests.support.fake_generation import FakeGeneration, FakeGenerations, FakePrompt, Step
from tests.support.fake_llama import FakeLlama
from wsgi.client import ClientGone, ClientWatch
from wsgi.factory import create_app
from wsgi.gunicorn_seam import ChunkedAnswer
from wsgi.host import Host
from wsgi.openai.encode_completion import CompletionEncoder
from wsgi.openai.parse_completion import parse_completion
from wsgi.pump import Pump, StreamTask
from wsgi.request_log import RequestRecord
from wsgi.sinks import SocketSink
from wsgi.streaming import EventStream
from wsgi.watched import Watched
from wsgi.worker import Worker

Pair = tuple[socket.socket, socket.socket]


class Guest(StreamTask):
    """A task that is blocked when it was told so, and notes the threads that it was run on."""

    def __init__(self) -> None:
        super().__init__(self._work, self._count, self._listen)
        self.news: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.threads: list[str] = []
        self.n_looks = 0
        self.call: Callable[[], None] | None = None

    def _listen(self, call: Callable[[], None] | None) -> None:
        self.call = call

    def _work(self, timeout_s: float) -> bool:
        assert timeout_s == 0
        self.threads.append(threading.current_thread().name)
        while not self.news.empty():
            if self.news.get():
                return True
        return False

    def _count(self) -> bool:
        self.n_looks += 1
        return False

    def tell(self, *, is_last: bool) -> None:
        """Have something for it."""
        self.news.put(is_last)
        if self.call is not None:
            self.call()


def started(pump: Pump, guest: Guest) -> threading.Thread:
    """Have a task run by the pump; the thread ends when it is blocked."""
    thread = threading.Thread(target=guest.run_on, args=(pump,), daemon=True)
    thread.start()
    return thread


def wait_for(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.002)


def test_tasks_run_on_one_thread_until_they_are_blocked() -> None:
    """Each is run when it is notified; the end of one is not that of another."""
    pump, first, second = Pump(), Guest(), Guest()
    threads = [started(pump, first), started(pump, second)]
    wait_for(lambda: first.threads != [] and second.threads != [])
    n_second = len(second.threads)
    first.tell(is_last=False)
    first.tell(is_last=True)
    threads[0].join(10)
    assert not threads[0].is_alive()
    assert first.call is None
    assert threads[1].is_alive()
    assert len(second.threads) == n_second
    second.tell(is_last=True)
    threads[1].join(10)
    assert not threads[1].is_alive()
    assert set(first.threads + second.threads) == {"pyllama-pump"}


def test_what_came_before_the_task_ran_is_taken_in() -> None:
    """What came while nobody was notified does not wait for what comes next."""
    guest = Guest()
    guest.tell(is_last=True)
    thread = started(Pump(), guest)
    thread.join(10)
    assert not thread.is_alive()


def test_tasks_have_their_looks_also_while_others_are_busy() -> None:
    """Every task has a look several times a second; one that ended has none any more."""
    pump, silent, busy = Pump(), Guest(), Guest()
    threads = [started(pump, silent), started(pump, busy)]
    until_s = time.monotonic() + 0.5
    while time.monotonic() < until_s:
        busy.tell(is_last=False)
        time.sleep(0.005)
    assert silent.n_looks >= 2
    silent.tell(is_last=True)
    threads[0].join(10)
    n_looks = silent.n_looks
    busy_looks = busy.n_looks
    wait_for(lambda: busy.n_looks > busy_looks + 1)
    assert silent.n_looks == n_looks
    busy.tell(is_last=True)
    threads[1].join(10)


def response(server: socket.socket) -> Response:
    """Gunicorn's own response to a POST of HTTP/1.1, before its head."""
    request: Any = SimpleNamespace(version=(1, 1), method="POST", should_close=lambda: False)
    return Response(request, server, Config())


class Served:
    """A stream that is served as gunicorn does it, on a thread of its own."""

    def __init__(
        self, pump: Pump, server: socket.socket, *script: Step, ping_s: float = 15.0
    ) -> None:
        llm: Any = FakeLlama()
        request = parse_completion({"prompt": "a"}, llm)
        self.generation = FakeGeneration(FakePrompt((1, 2)), GenerationParams(), script, "id")
        made = FakeGenerations([self.generation])
        encoder = CompletionEncoder(llm, request, request.make_prompts(llm), made)
        record = RequestRecord("rid", "POST")
        record.begin("id", 2)
        watch = ClientWatch({"gunicorn.socket": server})
        watched = Watched(made, watch, record, pump)
        self.response = response(server)
        self.response.start_response("200 OK", [("Content-Type", "text/event-stream")])
        self.items: list[bytes] = []
        sink = SocketSink(ChunkedAnswer(self.response), pump)
        self.stream = EventStream(
            watched,
            encoder,
            ping_s=ping_s,
            socket_sink=sink,
        )
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        try:
            for item in self.stream:
                self.items.append(item)
                self.response.write(item)
            self.response.close()
        except OSError:
            pass
        finally:
            self.stream.close()

    def join(self) -> None:
        """Wait for its end."""
        self.thread.join(20)
        assert not self.thread.is_alive()


def received(client: socket.socket) -> bytes:
    """Return the body of a chunked answer, whole; fails if its framing is not right."""
    client.settimeout(20)
    reader = client.makefile("rb")
    while reader.readline() != b"\r\n":
        pass
    body = b""
    while size := int(reader.readline(), 16):
        body += reader.read(size)
        assert reader.read(2) == b"\r\n"
    assert reader.readline() == b"\r\n"
    return body


def test_only_the_first_and_the_last_piece_pass_through_the_server(pair: Pair) -> None:
    """The pump sends the others, in order, in the same framing, and they are counted."""
    served = Served(Pump(), pair[0], *(f"piece {i} " for i in range(50)))
    body = received(pair[1])
    served.join()
    places = [body.index(b"piece %d " % i) for i in range(50)]
    assert places == sorted(places)
    assert len(served.items) == 2
    assert body.startswith(served.items[0])
    assert body.endswith(served.items[1])
    assert served.response.sent == len(body)
    assert not served.generation.was_aborted


def test_slow_reader_holds_up_nobody(pair: Pair) -> None:
    """A client that does not read is waited for on its own thread; what it then reads is whole."""
    pump = Pump()
    pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    slow = Served(pump, pair[0], *(f"{i:04}" + 5000 * "x" for i in range(100)))
    others = socket.socketpair()
    with others[0], others[1]:
        other = Served(pump, others[0], "a", 0.2, "b", 0.2, "c")
        assert b'"c"' in received(others[1])
        other.join()
    assert slow.thread.is_alive()
    body = received(pair[1])
    slow.join()
    places = [body.index(b"%04dxxx" % i) for i in range(100)]
    assert places == sorted(places)
    assert slow.response.sent == len(body)


def test_silence_is_filled_with_pings_on_the_pump(pair: Pair) -> None:
    """While nothing comes, the pump keeps the connection alive."""
    served = Served(Pump(), pair[0], "a", 0.7, "late", ping_s=0.0)
    body = received(pair[1])
    served.join()
    assert b": ping\n\n" in body
    assert b"late" in body


@pytest.mark.parametrize("script", [("a", 60.0), ("a", *(200 * (0.02, "more")))])
def test_client_that_leaves_ends_the_answer(pair: Pair, script: tuple[Step, ...]) -> None:
    """Whether tokens come or not, the slot is free within half a second."""
    served = Served(Pump(), pair[0], *script)
    assert pair[1].recv(10)
    pair[1].close()
    assert served.generation.is_over.wait(0.5)
    assert served.generation.was_aborted
    served.join()


def test_client_that_leaves_in_the_middle_of_a_piece_ends_the_answer(pair: Pair) -> None:
    """Its own thread, which waits for it to read, learns it from the connection."""
    served = Served(Pump(), pair[0], *(100 * ("x" * 100_000,)), 60.0)
    assert pair[1].recv(10)
    time.sleep(0.1)
    pair[1].close()
    served.join()
    assert served.generation.was_aborted


def test_failure_is_the_last_event(pair: Pair) -> None:
    """What fails on the pump is told to the client, and the pump goes on."""
    pump = Pump()
    served = Served(pump, pair[0], "a", "b", EngineError("out of luck"))
    body = received(pair[1])
    served.join()
    assert b"out of luck" in body
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with client, server:
            after = Served(pump, server, "a", "b", "c")
            assert b'"c"' in received(client)
            after.join()


def test_collecting_is_done_by_the_pump_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that is not streamed is taken in by the pump, but for its end."""
    script = ("a", 0.05, "b", 0.05, "c")
    generation = FakeGeneration(FakePrompt((1, 2)), GenerationParams(), script, "id")
    record = RequestRecord("rid", "POST")
    generations = FakeGenerations([generation])
    threads: dict[str, set[str]] = {"read": set(), "finish": set()}

    def noted(name: str) -> None:
        call = getattr(generations, name)

        def noting(*arguments: Any) -> Any:
            threads[name].add(threading.current_thread().name)
            return call(*arguments)

        monkeypatch.setattr(generations, name, noting)

    noted("read")
    noted("finish")
    (completion,) = Watched(generations, ClientWatch({}), record, Pump()).collect()
    assert completion.text == "abc"
    assert threads == {"read": {"pyllama-pump"}, "finish": {threading.current_thread().name}}


def test_collecting_notices_a_client_that_left(pair: Pair) -> None:
    """An answer that nobody will read is given up, though nothing is written."""
    generation = FakeGeneration(FakePrompt((1, 2)), GenerationParams(), (60.0,), "id")
    record = RequestRecord("rid", "POST")
    watch = ClientWatch({"gunicorn.socket": pair[0]})
    pair[1].close()
    with pytest.raises(ClientGone):
        Watched(FakeGenerations([generation]), watch, record, Pump()).collect()


def test_socket_sink_is_closed_before_the_head_and_where_frames_are_not_ours(pair: Pair) -> None:
    """Under TLS, without chunks, and before the head nothing is sent past gunicorn."""
    made = response(pair[0])
    made.start_response("200 OK", [("Content-Type", "text/event-stream")])
    assert not SocketSink(ChunkedAnswer(made), Pump()).is_open
    made.send_headers()
    assert SocketSink(ChunkedAnswer(made), Pump()).is_open
    made.chunked = False
    assert not SocketSink(ChunkedAnswer(made), Pump()).is_open
    made.chunked = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with context.wrap_socket(pair[0], server_side=True, do_handshake_on_connect=False) as tls:
        made.sock = tls
        assert not SocketSink(ChunkedAnswer(made), Pump()).is_open


def test_requests_of_the_worker_find_the_pump_and_their_connection(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pump serves what it can of gunicorn's worker; the rest passes through the server.

    The application is kept from the garbage collector, which this process goes on to need.
    """
    frozen: list[bool] = []
    monkeypatch.setattr("wsgi.worker.gc.freeze", lambda: frozen.append(True))
    worker: Any = Worker.__new__(Worker)
    llm: Any = FakeLlama(("a", "b", "c", "d"))
    worker.app = SimpleNamespace(wsgi=lambda: create_app(Host(llm)))
    worker.load_wsgi()
    assert frozen
    body = b'{"prompt": "a", "stream": true}'
    made = response(pair[0])
    items = []
    environ = testing.create_environ("/v1/completions", method="POST", body=body)
    stream = worker.wsgi(environ, made.start_response)
    for item in stream:
        items.append(item)
        made.write(item)
    made.close()
    stream.close()
    assert len(items) == 2
    assert b'"d"' in received(pair[1])
    other = testing.create_environ("/v1/completions", method="POST", body=body)
    assert len(list(worker.wsgi(other, lambda *_: None))) == 4
    assert other["pyllama.pump"] is environ["pyllama.pump"]
    assert "pyllama.sink" not in other
