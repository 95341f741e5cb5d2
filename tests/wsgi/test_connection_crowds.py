"""Who may stay and who has to go, where there are many."""

from __future__ import annotations

import contextlib
import socket

import pytest

from tests.wsgi.conftest import MakeHall
from tests.wsgi.hall import GET, HALF, MODELS, refused
from wsgi.connections.connection import Stage


def test_own_oldest_goes_beyond_the_limit_of_a_client(hall: MakeHall) -> None:
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
def test_network_of_ipv6_is_one_client(hall: MakeHall, hosts: list[str], n_left: int) -> None:
    """Addresses of one network of 64 bits count together; mapped ones are what they map."""
    made = hall(n_unfinished=2, n_connections=100)
    for host in hosts:
        made.connect(host)
    assert len(made.reception.unfinished) == n_left


def test_connections_whose_request_runs_do_not_count(hall: MakeHall) -> None:
    """The limit of a client is one of unfinished requests, not of those that are being answered."""
    made = hall(n_unfinished=2, n_connections=100)
    for _ in range(5):
        made.connect(sent=GET)
    assert len(made.handed) == 5
    assert len(made.reception.busy) == 5


def test_oldest_idle_goes_for_a_new_one(hall: MakeHall) -> None:
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


def test_idle_connections_have_a_number_of_their_own(hall: MakeHall) -> None:
    """Beyond it the oldest goes, of the client that has most."""
    made = hall(n_idle=2)
    for host in ("192.0.2.9", "192.0.2.1", "192.0.2.1"):
        each, _ = made.connect(host, GET)
        made.answer(each)
    assert [each.holder for each in made.reception.idle] == ["192.0.2.9", "192.0.2.1"]
    assert made.clients[1].recv(100) == b""


def test_server_full_of_running_requests_says_so(hall: MakeHall) -> None:
    """Where nobody can go a new connection is 503, and those that run stay."""
    made = hall(n_connections=2)
    for _ in range(2):
        made.connect(sent=MODELS)
    _, client = made.connect(sent=MODELS)
    status, body = refused(client)
    assert (status, body["error"]["code"]) == (503, 503)
    _, client = made.connect(sent=HALF)
    assert refused(client)[0] == 503
    assert len(made.reception.busy) == 2


def test_full_server_tells_how_it_is(hall: MakeHall) -> None:
    """Probes have a few connections of their own, which nobody else can hold."""
    made = hall(n_connections=2, n_probes=2)
    for _ in range(2):
        made.connect(sent=MODELS)
    for _ in range(5):
        made.connect()
    for _ in range(3):
        probe, _ = made.connect("192.0.2.9", GET)
        assert probe.stage is Stage.BUSY
        made.answer(probe)
    probes = [made.connect("192.0.2.9", GET)[0] for _ in range(2)]
    assert [probe.stage for probe in probes] == 2 * [Stage.BUSY]
    _, client = made.connect("192.0.2.9", GET)
    assert refused(client)[0] == 503
    made.answer(made.handed[0], is_kept=False)
    assert made.connect("192.0.2.9", MODELS)[0].stage is Stage.BUSY


def test_idle_connection_ends_with_its_time(hall: MakeHall) -> None:
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


def test_bulkiest_client_pays_for_a_full_disk(hall: MakeHall) -> None:
    """Beyond what may be on disk, the largest body of the client that has most there goes."""
    made = hall(memory_bytes=10, spool_bytes=10_000)
    for host, n in (("192.0.2.1", 4000), ("192.0.2.9", 5000), ("192.0.2.1", 3000)):
        _, client = made.connect(host, HALF)
        client.sendall(n * b"a")
        made.turn()
        made.poured()
    assert refused(made.clients[0])[0] == 503
    assert len(made.reception.unfinished) == 2


def test_stopping_bounds_all_waiting(hall: MakeHall) -> None:
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


def test_unread_answer_gives_way_to_who_waits(hall: MakeHall) -> None:
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
