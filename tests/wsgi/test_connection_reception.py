"""What becomes of a connection: its request, its answers, its deadlines, its end."""

from __future__ import annotations

import errno
import socket

import pytest

from tests.wsgi.conftest import MakeHall
from tests.wsgi.hall import GET, HALF, refused
from wsgi.connections.connection import Stage


def test_half_a_head_is_408_in_time(hall: MakeHall) -> None:
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


def test_silent_connection_is_closed_without_an_answer(hall: MakeHall) -> None:
    """Who asked for nothing is told nothing."""
    made = hall(read_s=10.0)
    _, client = made.connect()
    made.after(11)
    assert client.recv(100) == b""
    assert len(made.reception) == 0


def test_body_has_more_time_the_more_comes(hall: MakeHall) -> None:
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


def test_body_has_an_end_however_fast_it_comes(hall: MakeHall) -> None:
    """The whole time of a body is bounded too."""
    made = hall(read_s=10.0, body_rate=1, body_s=100.0)
    _, client = made.connect(sent=HALF)
    for _ in range(10):
        client.sendall(1000 * b"a")
        made.after(10.1)
    assert refused(client)[0] == 408


def test_pipelined_requests_are_handed_over_in_their_order(hall: MakeHall) -> None:
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


def test_body_is_asked_for(hall: MakeHall) -> None:
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


def test_large_body_is_kept_on_disk(hall: MakeHall) -> None:
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


@pytest.mark.parametrize(
    ("number", "status", "kind"),
    [(errno.ENOSPC, 507, "api_error"), (errno.EMFILE, 503, "overloaded_error")],
)
def test_disk_that_takes_no_more_is_told(
    hall: MakeHall,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
    status: int,
    kind: str,
) -> None:
    """A body that cannot be kept is refused as any that meets a full disk; the next is taken."""
    made = hall(memory_bytes=10)

    def failing() -> None:
        raise OSError(number, "no")

    each, client = made.connect(sent=HALF)
    monkeypatch.setattr(each.inbox, "pour", failing)
    client.sendall(1000 * b"a")
    made.turn()
    made.poured()
    told, answer = refused(client)
    assert (told, answer["error"]["type"]) == (status, kind)
    assert ("DiskFull" in caplog.text) is (status == 507)
    assert made.connect(sent=GET)[0].stage is Stage.BUSY


def test_client_that_leaves_is_forgotten(hall: MakeHall) -> None:
    """Before its request is whole, or between two, nobody is left to answer."""
    made = hall()
    for sent in (b"", b"GET /", GET):
        each, client = made.connect(sent=sent)
        if sent == GET:
            made.answer(each)
        client.close()
        made.turn()
    assert len(made.reception) == 0


def test_body_whose_end_will_not_come_is_for_the_application(hall: MakeHall) -> None:
    """Who stops sending in the middle of a body is answered, for the last time."""
    made = hall()
    each, client = made.connect(sent=HALF)
    client.shutdown(socket.SHUT_WR)
    made.turn()
    assert each.stage is Stage.BUSY
    request = next(each.reader.parser)
    assert (request.body.read(), request.should_close()) == (b"{", True)


def test_last_answer_is_left_to_be_read(hall: MakeHall) -> None:
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


def test_number_of_a_socket_closed_elsewhere_can_come_again(hall: MakeHall) -> None:
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
