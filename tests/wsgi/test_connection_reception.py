"""Who may stay, who has to go, and when: connections on a clock of the test's own."""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from gunicorn.config import Config

from wsgi.connections.connection import Connection, Stage
from wsgi.connections.limits import Limits
from wsgi.connections.reception import Reception

CFG = Config()
HALF = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n{"
GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


class Hall:
    """A reception, its loop, and clients."""

    def __init__(self, **limits: Any) -> None:
        self.now_s = 1000.0
        self.handed: list[Connection] = []
        self.reported: list[Exception] = []
        self.calls: list[Callable[[], None]] = []
        self.clients: list[socket.socket] = []
        self.poller = selectors.DefaultSelector()
        values = {"n_connections": 10, "n_idle": 8, "n_unfinished": 4, "n_threads": 2, **limits}
        self.limits = Limits(**values)
        self.reception = Reception(
            self.limits,
            self.poller,
            hand_over=self.handed.append,
            report=lambda _, exc: self.reported.append(exc),
            defer=lambda call, *args: self.calls.append(lambda: call(*args)),
            clock=lambda: self.now_s,
        )

    def connect(self, host: str = "192.0.2.1", sent: bytes = b"") -> tuple[Connection, Any]:
        """Let a client come, and send something."""
        ours, theirs = socket.socketpair()
        theirs.settimeout(2)
        self.clients.append(theirs)
        theirs.sendall(sent)
        made = Connection(CFG, ours, (host, 1), ("", 80), self.limits, lambda _: 1 << 20)
        self.reception.admit(made)
        self.turn()
        return made, theirs

    def turn(self) -> None:
        """Let the loop do all that there is to do."""
        while events := self.poller.select(0):
            for key, _ in events:
                key.data(key.fileobj)

    def poured(self) -> None:
        """Wait for the disk."""
        self.reception._spool._thread.submit(lambda: None).result(10)
        while self.calls:
            self.calls.pop(0)()
        self.turn()

    def after(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds
        self.turn()
        self.reception.sweep()

    def answer(self, made: Connection, *, is_kept: bool = True) -> None:
        """Do what a thread does with a request."""
        next(made.reader.parser)
        made.is_at_request()
        self.reception.take_back(made, is_kept=is_kept)

    def close(self) -> None:
        self.reception.close()
        for made in self.reception.busy:
            made.close()
        for client in self.clients:
            client.close()
        self.poller.close()


@pytest.fixture
def hall() -> Iterator[Callable[..., Hall]]:
    halls: list[Hall] = []

    def made(**limits: Any) -> Hall:
        halls.append(Hall(**limits))
        return halls[-1]

    yield made
    for each in halls:
        each.close()


def refused(client: socket.socket) -> tuple[int, Any]:
    """Return the status and the body of an answer that ends its connection."""
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    assert b"Connection: close" in head
    return int(head.split()[1]), orjson.loads(body)


def test_half_a_head_is_408_in_time(hall: Callable[..., Hall]) -> None:
    """A head has its time from its first byte, however it drips; then 408."""
    made = hall(read_s=10.0)
    each, client = made.connect()
    made.after(9)
    client.sendall(b"GET / HTTP/1.1\r\n")
    made.turn()
    made.after(9)
    assert each.stage is Stage.READING
    client.sendall(b"A")
    made.after(2)
    status, body = refused(client)
    assert (status, body["error"]["type"]) == (408, "timeout_error")


def test_silent_connection_is_closed_without_an_answer(hall: Callable[..., Hall]) -> None:
    """Who asked for nothing is told nothing."""
    made = hall(read_s=10.0)
    _, client = made.connect()
    made.after(11)
    assert client.recv(100) == b""
    assert len(made.reception) == 0


def test_body_has_more_time_the_more_comes(hall: Callable[..., Hall]) -> None:
    """A body that comes at the least rate may go on; one that stands still is 408, in its shape."""
    made = hall(read_s=10.0, body_rate=100)
    each, client = made.connect(sent=HALF)
    for _ in range(5):
        client.sendall(1000 * b"a")
        made.after(10)
        assert each.stage is Stage.READING
    made.after(11)
    status, body = refused(client)
    assert (status, body["type"]) == (408, "error")


def test_body_has_an_end_however_fast_it_comes(hall: Callable[..., Hall]) -> None:
    """The whole time of a body is bounded too."""
    made = hall(read_s=10.0, body_rate=1, body_s=100.0)
    _, client = made.connect(sent=HALF)
    for _ in range(10):
        client.sendall(1000 * b"a")
        made.after(10.1)
    assert refused(client)[0] == 408


def test_own_oldest_goes_beyond_the_limit_of_a_client(hall: Callable[..., Hall]) -> None:
    """A client over its number loses its oldest unfinished request; others lose nothing."""
    made = hall(n_unfinished=2, n_connections=100)
    other, _ = made.connect("192.0.2.9", HALF)
    first = made.connect(sent=HALF)
    second, _ = made.connect(sent=HALF)
    third, _ = made.connect(sent=HALF)
    assert refused(first[1])[0] == 408
    assert [each.stage for each in (other, second, third)] == 3 * [Stage.READING]


@pytest.mark.parametrize(
    ("hosts", "n_left"),
    [
        (["2001:db8::1", "2001:db8::2", "2001:db8::3"], 2),
        (["2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:3::1"], 3),
        (["::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"], 2),
    ],
)
def test_network_of_ipv6_is_one_client(
    hall: Callable[..., Hall], hosts: list[str], n_left: int
) -> None:
    """Addresses of one network of 64 bits count together; mapped ones are what they map."""
    made = hall(n_unfinished=2, n_connections=100)
    for host in hosts:
        made.connect(host)
    assert len(made.reception.unfinished) == n_left


def test_connections_whose_request_runs_do_not_count(hall: Callable[..., Hall]) -> None:
    """The limit of a client is one of unfinished requests, not of those that are being answered."""
    made = hall(n_unfinished=2, n_connections=100)
    for _ in range(5):
        made.connect(sent=GET)
    assert len(made.handed) == 5
    assert len(made.reception.busy) == 5


def test_oldest_idle_goes_for_a_new_one(hall: Callable[..., Hall]) -> None:
    """A full server takes a new connection in the place of the one that idles longest."""
    made = hall(n_connections=3, n_idle=3)
    idle = []
    for _ in range(3):
        each, client = made.connect(sent=GET)
        made.answer(each)
        idle.append(client)
    new, _ = made.connect("192.0.2.9", GET)
    assert new.stage is Stage.BUSY
    assert idle[0].recv(100) == b""
    assert len(made.reception.idle) == 2


def test_idle_connections_have_a_number_of_their_own(hall: Callable[..., Hall]) -> None:
    """Beyond it the oldest goes, of the client that has most."""
    made = hall(n_idle=2)
    for host in ("192.0.2.9", "192.0.2.1", "192.0.2.1"):
        each, _ = made.connect(host, GET)
        made.answer(each)
    assert [each.holder for each in made.reception.idle] == ["192.0.2.9", "192.0.2.1"]
    assert made.clients[1].recv(100) == b""


def test_server_full_of_running_requests_says_so(hall: Callable[..., Hall]) -> None:
    """Where nobody can go a new connection is 503, and those that run stay."""
    made = hall(n_connections=2)
    for _ in range(2):
        made.connect(sent=GET)
    _, client = made.connect(sent=GET)
    status, body = refused(client)
    assert (status, body["error"]["code"]) == (503, 503)
    assert len(made.reception.busy) == 2


def test_idle_connection_ends_with_its_time(hall: Callable[..., Hall]) -> None:
    """A kept connection is closed after the time between two requests."""
    made = hall(idle_s=30.0)
    each, client = made.connect(sent=GET)
    made.answer(each)
    made.after(29)
    client.sendall(GET)
    made.turn()
    assert len(made.handed) == 2
    made.answer(each)
    made.after(31)
    assert client.recv(100) == b""


def test_pipelined_requests_are_handed_over_in_their_order(hall: Callable[..., Hall]) -> None:
    """The next request of a connection is handed over when the one before it was answered."""
    made = hall()
    paths = [b"/a", b"/b", b"/c"]
    each, _ = made.connect(sent=b"".join(GET.replace(b"/health", path) for path in paths))
    found = []
    while each.stage is Stage.BUSY:
        found.append(each.path.encode())
        made.answer(each)
    assert found == paths
    assert len(made.handed) == 3


def test_body_is_asked_for(hall: Callable[..., Hall]) -> None:
    """A client that waits to be told to go on is told so, once."""
    made = hall()
    head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    each, client = made.connect(sent=head)
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.sendall(b"a")
    made.turn()
    client.sendall(b"b")
    made.turn()
    assert each.stage is Stage.BUSY
    client.settimeout(0)
    with pytest.raises(BlockingIOError):
        client.recv(100)


def test_large_body_is_kept_on_disk(hall: Callable[..., Hall]) -> None:
    """What exceeds the memory of a body is written by another thread, and read back."""
    made = hall(memory_bytes=10_000)
    each, client = made.connect(sent=HALF)
    rest = bytes(range(256)) * 390 + 159 * b"z"
    for at in range(0, len(rest), 20_000):
        client.sendall(rest[at : at + 20_000])
        made.turn()
        made.poured()
    assert each.stage is Stage.BUSY
    assert each.inbox.n_on_disk > 50_000
    assert next(each.reader.parser).body.read() == b"{" + rest


@pytest.mark.parametrize(("number", "status"), [(errno.ENOSPC, 507), (errno.EMFILE, 503)])
def test_disk_that_takes_no_more_is_told(
    hall: Callable[..., Hall], monkeypatch: pytest.MonkeyPatch, number: int, status: int
) -> None:
    """A body that cannot be kept is refused with the reason, and the next one is taken."""
    made = hall(memory_bytes=10)

    def failing() -> None:
        raise OSError(number, "no")

    each, client = made.connect(sent=HALF)
    monkeypatch.setattr(each.inbox, "pour", failing)
    client.sendall(1000 * b"a")
    made.turn()
    made.poured()
    assert refused(client)[0] == status
    assert made.connect(sent=GET)[0].stage is Stage.BUSY


def test_bulkiest_client_pays_for_a_full_disk(hall: Callable[..., Hall]) -> None:
    """Beyond what may be on disk, the largest body of the client that has most there goes."""
    made = hall(memory_bytes=10, spool_bytes=10_000)
    for host, n in (("192.0.2.1", 4000), ("192.0.2.9", 5000), ("192.0.2.1", 3000)):
        _, client = made.connect(host, HALF)
        client.sendall(n * b"a")
        made.turn()
        made.poured()
    assert refused(made.clients[0])[0] == 503
    assert len(made.reception.unfinished) == 2


def test_client_that_leaves_is_forgotten(hall: Callable[..., Hall]) -> None:
    """Before its request is whole, or between two, nobody is left to answer."""
    made = hall()
    for sent in (b"", b"GET /", GET):
        each, client = made.connect(sent=sent)
        if sent == GET:
            made.answer(each)
        client.close()
        made.turn()
    assert len(made.reception) == 0


def test_body_whose_end_will_not_come_is_for_the_application(hall: Callable[..., Hall]) -> None:
    """Who stops sending in the middle of a body is answered, for the last time."""
    made = hall()
    each, client = made.connect(sent=HALF)
    client.shutdown(socket.SHUT_WR)
    made.turn()
    assert each.stage is Stage.BUSY
    request = next(each.reader.parser)
    assert (request.body.read(), request.should_close()) == (b"{", True)


def test_last_answer_is_left_to_be_read(hall: Callable[..., Hall]) -> None:
    """A connection that ends stays until its client has closed it, or for its time."""
    made = hall(linger_s=2.0)
    for is_polite in (True, False):
        each, client = made.connect(sent=GET + b"more that nobody reads")
        made.answer(each, is_kept=False)
        assert client.recv(100) == b""
        assert len(made.reception) == 1
        if is_polite:
            client.close()
            made.turn()
        else:
            made.after(3)
        assert len(made.reception) == 0


def test_stopping_bounds_all_waiting(hall: Callable[..., Hall]) -> None:
    """A server that stops waits two seconds for requests, of old connections and new ones."""
    made = hall()
    each, _ = made.connect(sent=GET)
    made.connect(sent=HALF)
    idle, _ = made.connect(sent=GET)
    made.answer(idle)
    made.reception.stop()
    made.answer(each)
    assert len(made.reception) == 3
    made.after(2.1)
    made.after(2.1)
    assert len(made.reception) == 0


def test_unread_answer_gives_way_to_who_waits(hall: Callable[..., Hall]) -> None:
    """A client that reads nothing is cut off where a request waits for its thread, only there."""
    made = hall(n_threads=2, stall_s=2.0)
    stuck, client = made.connect(sent=GET)
    with contextlib.suppress(BlockingIOError):
        while stuck.sock.send(65536 * b"a", socket.MSG_DONTWAIT):
            pass
    made.connect(sent=GET)
    for _ in range(3):
        made.after(2)
    assert stuck.sock.send(b"", socket.MSG_DONTWAIT) == 0
    made.connect(sent=GET)
    made.after(1)
    made.after(3)
    with pytest.raises(BrokenPipeError):
        stuck.sock.send(b"a", socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    assert client.recv(10)


def test_number_of_a_socket_closed_elsewhere_can_come_again(hall: Callable[..., Hall]) -> None:
    """A thread may close a socket under the loop; the next one may have its number."""
    made = hall()
    each, _ = made.connect(sent=GET)
    number = each.sock.fileno()
    each.sock.close()
    again, _ = made.connect(sent=GET)
    assert again.sock.fileno() == number
    made.reception.take_back(each, is_kept=False)
    assert again.stage is Stage.BUSY
    made.answer(again)
    assert len(made.reception) == 1
