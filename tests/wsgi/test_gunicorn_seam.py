"""What is taken for granted of gunicorn's inside, held against the gunicorn that is installed."""

from __future__ import annotations

import ast
import io
import os
import selectors
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gunicorn
import pytest
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.glogging import Logger
from gunicorn.http.errors import InvalidChunkSize
from gunicorn.http.wsgi import Response
from gunicorn.http2.response import HTTP2Response
from gunicorn.workers.gthread import TConn

from pyllama.errors import ConfigError
from wsgi import gunicorn_seam as seam
from wsgi.connections.inbox import Inbox, NeedsMore

ROOT = Path(__file__).parents[2]
Pair = tuple[socket.socket, socket.socket]


def test_this_gunicorn_is_within_the_bounds() -> None:
    """The one that is installed, and so the one that all tests run with."""
    seam.check_version()
    assert gunicorn.version_info >= (27,)


@pytest.mark.parametrize("version", [(26, 9, 9), (28, 0), (28, 0, 1), (31, 2, 0)])
def test_another_gunicorn_is_refused_with_the_remedy(version: tuple[int, ...]) -> None:
    """What was not tried is not begun with; the message says which versions are."""
    with pytest.raises(ConfigError, match=r"install 'gunicorn>=27.0,<28'") as caught:
        seam.check_version(version)
    assert ".".join(map(str, version)) in str(caught.value)


def test_the_bounds_are_those_that_are_installed() -> None:
    """Who installs the package gets a gunicorn that it takes."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert "\"gunicorn>=27.0,<28; sys_platform != 'win32'\"" in text


def test_only_the_seam_imports_gunicorn() -> None:
    """All that is used of it stands in one module."""
    found = set()
    for path in (ROOT / "wsgi").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            if any(name.partition(".")[0] == "gunicorn" for name in names):
                found.add(path.relative_to(ROOT).as_posix())
    assert found == {"wsgi/gunicorn_seam.py"}


def response(connection: socket.socket, version: tuple[int, int] = (1, 1)) -> Response:
    """Gunicorn's response to a POST, before its application was called."""
    head: Any = type("Head", (), {"version": version, "method": "POST"})()
    head.should_close = lambda: False
    return Response(head, connection, Config())


def test_an_answer_is_found_behind_what_begins_it(pair: Pair) -> None:
    """The function that a WSGI application is given belongs to gunicorn's response."""
    made = response(pair[0])
    answer = seam.ChunkedAnswer.behind(made.start_response)
    assert answer is not None
    assert answer.socket is pair[0]
    assert seam.ChunkedAnswer.behind(lambda *_: None) is None
    # Another protocol's has another class, and another way to frame.
    other = HTTP2Response.__new__(HTTP2Response)
    assert seam.ChunkedAnswer.behind(other.start_response) is None


def test_an_answer_is_open_once_its_head_announced_chunks(pair: Pair) -> None:
    """The head goes out with the first bytes, and not before; HTTP/1.0 knows no chunks."""
    for version, is_open in (((1, 1), True), ((1, 0), False)):
        made = response(pair[0], version)
        answer = seam.ChunkedAnswer(made)
        made.start_response("200 OK", [("Content-Type", "text/plain")])
        assert not answer.is_open
        made.write(b"x")
        assert answer.is_open == is_open
    made = response(pair[0])
    made.start_response("200 OK", [("Content-Length", "1")])
    made.write(b"x")
    assert not seam.ChunkedAnswer(made).is_open


def test_frames_are_gunicorns_and_are_counted(pair: Pair) -> None:
    """What is sent past gunicorn looks, and counts, as if it had sent it."""
    made = response(pair[0])
    made.start_response("200 OK", [("Content-Type", "text/plain")])
    made.write(b"first")
    pair[1].recv(4096)
    made.write(b"a piece of it")
    by_gunicorn, n_sent = pair[1].recv(4096), made.sent
    assert seam.ChunkedAnswer(made).frame(b"a piece of it") == by_gunicorn
    assert made.sent - n_sent == len(b"a piece of it")


class Begun(seam.LoopWorker):
    """A worker that was begun as the master begins it, up to its loop."""

    def init_signals(self) -> None:
        """Leave the handlers of this process alone."""

    def load_wsgi(self) -> None:
        """Have no application."""
        self.was_loaded = True

    def run(self) -> None:
        """Let the test be the loop."""
        assert self.was_loaded


@pytest.fixture
def worker() -> Iterator[Begun]:
    """A worker without listening sockets, whose loop was not entered."""
    cfg = Config()
    cfg.set("threads", 1)
    app: Any = None
    made = Begun(1, os.getppid(), [], app, 0, cfg, Logger(cfg))
    made.init_process()
    yield made
    for file in made.PIPE:
        os.close(file)
    made.tmp.close()


def test_the_loop_calls_what_was_deferred_to_it(worker: Begun) -> None:
    """A function that another thread defers wakes the loop, and runs on the loop's thread."""
    worker.open_loop()
    ran: list[tuple[int, int]] = []
    thread = threading.Thread(
        target=lambda: worker.defer(lambda n: ran.append((n, threading.get_ident())), 7)
    )
    thread.start()
    worker.wait_for_and_dispatch_events(10)
    thread.join()
    assert ran == [(7, threading.get_ident())]
    worker.close_loop()


def test_a_signal_wakes_the_loop(worker: Begun) -> None:
    """What Python writes to the pipe at a signal is read there, so the next round waits again."""
    worker.open_loop()
    os.write(worker.PIPE[1], b"\x0f")
    worker.wait_for_and_dispatch_events(10)
    assert worker.selector.select(0) == []
    worker.close_loop()


def test_the_loop_calls_with_the_file_that_has_events(worker: Begun, pair: Pair) -> None:
    """Whatever is registered with a function as data has it called."""
    worker.open_loop()
    called: list[Any] = []
    worker.selector.register(pair[0], selectors.EVENT_READ, called.append)
    pair[1].send(b"x")
    worker.wait_for_and_dispatch_events(10)
    assert called == [pair[0]]
    worker.close_loop()


def test_accepting_is_switched_on_and_off(worker: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's own method is called for a client that waits, and only while it may be."""
    accepted: list[Any] = []
    monkeypatch.setattr(worker, "accept", accepted.append)
    listener = socket.create_server(("127.0.0.1", 0))
    worker.sockets = [listener]
    worker.open_loop()
    worker.set_accept_enabled(True)
    with socket.create_connection(listener.getsockname()):
        worker.wait_for_and_dispatch_events(10)
        worker.set_accept_enabled(False)
        assert worker.selector.select(0) == []
    assert accepted == [listener]
    worker.close_loop()
    assert listener.fileno() < 0


def test_a_thread_answers_a_request_that_was_parsed(
    worker: Begun, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is said to be ready is neither waited for nor read by gunicorn."""
    connection = TConn(worker.cfg, pair[0], ("192.0.2.1", 1), ("192.0.2.2", 80))
    parsed = object()
    connection.parser = iter([parsed])  # type: ignore[assignment]
    connection.initialized = connection.data_ready = True
    seen: list[Any] = []

    def handle_request(req: Any, conn: Any) -> bool:
        seen.append((req, conn))
        return False

    monkeypatch.setattr(worker, "handle_request", handle_request)
    assert worker.submit(connection).result(10) is False
    assert seen == [(parsed, connection)]
    assert connection.sock is pair[0]
    # For the thread's sends; the loop's reads never wait.
    assert pair[0].gettimeout() is None
    worker.drop_waiting()


def test_a_bad_request_is_answered(worker: Begun, pair: Pair) -> None:
    """The answer is gunicorn's to what its parser refuses, with its status."""
    connection = TConn(worker.cfg, pair[0], ("192.0.2.1", 1), ("192.0.2.2", 80))
    worker.refuse(connection, seam.LimitRequestHeaders("too long"))
    assert pair[1].recv(4096).startswith(b"HTTP/1.1 431 ")


def test_the_end_is_told_by_a_flag(worker: Begun) -> None:
    """SIGTERM's handler says only that the loop is to end; the master is told of by its id."""
    flags = [worker.alive]
    worker.handle_exit(signal.SIGTERM, None)
    flags.append(worker.alive)
    assert flags == [True, False]
    has_parent = [worker.is_parent_alive()]
    worker.ppid = -1
    has_parent.append(worker.is_parent_alive())
    assert has_parent == [True, False]


def parsed(data: bytes, *pieces: bytes) -> tuple[Any, Any]:
    """Return a parser that reads from an inbox, and the request that it finds."""
    inbox = Inbox()
    inbox.begin(data)
    parser = seam.RequestParser(Config(), (), ("192.0.2.1", 1))
    parser.unreader = inbox
    for piece in pieces:
        with pytest.raises(NeedsMore):
            next(parser)
        data += piece
        inbox.begin(data)
        parser.req_count -= 1
    inbox.seal()
    return parser, next(parser)


def test_a_parser_reads_from_what_it_is_given_and_can_be_asked_again() -> None:
    """What the source raises comes through, and the next try begins the request anew."""
    parser, found = parsed(b"POST /a HTTP/1.1\r\nHost", b": x\r\n", b"Content-Length: 2\r\n\r\nhi")
    assert (found.method, found.path, parser.req_count) == ("POST", "/a", 1)
    assert parser.mesg is found
    assert found.body.read() == b"hi"


def test_a_request_says_how_long_its_body_is() -> None:
    """A length that was announced, or none where chunks were."""
    assert seam.body_length(parsed(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n")[1]) == 5
    assert seam.body_length(parsed(b"GET / HTTP/1.1\r\n\r\n")[1]) == 0
    chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert seam.body_length(parsed(chunked)[1]) is None


def test_a_body_that_cannot_be_read_says_so() -> None:
    """After it nobody knows where the next request begins."""
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    whole = parsed(head + b"2\r\nhi\r\n0\r\n\r\n")[1]
    assert whole.body.read() == b"hi"
    assert not seam.has_failed(whole)
    broken = parsed(head + b"zz\r\nhi\r\n")[1]
    with pytest.raises(InvalidChunkSize):
        broken.body.read()
    assert seam.has_failed(broken)


def test_an_expectation_is_taken_from_a_request() -> None:
    """It is told once, and gunicorn, which would answer it at the first read, no longer knows."""
    head = b"POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    found = parsed(head)[1]
    assert seam.take_expectation(found)
    assert not seam.take_expectation(found)
    assert not seam.take_expectation(parsed(head.replace(b"Expect", b"X-Expect"))[1])


def test_a_request_can_be_made_the_last_one() -> None:
    """Where the rest of a body is not wanted, the connection ends with the answer."""
    found = parsed(b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n")[1]
    assert not found.should_close()
    found.force_close()
    assert found.should_close()


def test_a_source_keeps_what_a_parser_gave_back() -> None:
    """The buffer of gunicorn's readers is a file in memory, by this name."""
    assert isinstance(seam.Unreader().buf, io.BytesIO)
    inbox = Inbox()
    inbox.begin(b"rest")
    inbox.unread(b"first ")
    assert inbox.rest() == b"first rest"


def test_nothing_is_encrypted_without_a_certificate() -> None:
    """The settings say so; what TLS is like with one, the tests of real servers show."""
    cfg = Config()
    assert not cfg.is_ssl
    assert seam.ssl_context(cfg) is None
    cfg.set("certfile", "certificate.pem")
    assert cfg.is_ssl


def test_the_master_has_a_queue_of_signals_and_a_status_that_ends_it() -> None:
    """Signals of a worker that has no handlers yet are found there; this status is no restart."""
    app: Any = type("App", (), {"cfg": Config()})()
    app.cfg.set("bind", "127.0.0.1:0")
    master = Arbiter(app)
    assert seam.early_signals(master).empty()
    master.signal(signal.SIGTERM, None)
    assert seam.early_signals(master).get_nowait() == signal.SIGTERM
    assert Arbiter.WORKER_BOOT_ERROR not in {0, 1}
    assert master.pidfile is None
