"""The watch on a client's connection, with real sockets."""

from __future__ import annotations

import select
import socket
import ssl
import sys
import time

import pytest

from wsgi.client import ClientWatch

Pair = tuple[socket.socket, socket.socket]


def watch(server: socket.socket) -> ClientWatch:
    return ClientWatch({"gunicorn.socket": server})


def test_client_that_waits_is_there(pair: Pair) -> None:
    """Nothing to read means that the client waits; the question does not block."""
    start_s = time.monotonic()
    assert not watch(pair[0]).gone()
    assert time.monotonic() - start_s < 0.1


def test_client_that_closed_is_gone(pair: Pair) -> None:
    """The end of the connection is seen."""
    pair[1].close()
    assert watch(pair[0]).gone()


def test_client_that_sends_more_is_there(pair: Pair) -> None:
    """A pipelined request is no reason to go, and is not consumed."""
    pair[1].sendall(b"GET")
    assert not watch(pair[0]).gone()
    assert pair[0].recv(3) == b"GET"


@pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="only Linux tells")
def test_client_that_sent_more_and_closed_is_gone(pair: Pair) -> None:
    """Unread bytes, such as TLS's good-bye, do not hide the end."""
    pair[1].sendall(b"GET")
    pair[1].close()
    assert watch(pair[0]).gone()


def test_client_on_a_platform_without_hang_up_is_there(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere unread bytes count as a client that is there."""
    monkeypatch.delattr(select, "POLLRDHUP", raising=False)
    pair[1].sendall(b"GET")
    pair[1].close()
    assert not watch(pair[0]).gone()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems word a reset differently")
def test_client_that_reset_is_gone() -> None:
    """A connection that was reset is over."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
        with server:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
            assert watch(server).gone()


def test_tls_connection_is_watched_too(pair: Pair) -> None:
    """A socket that refuses flags in its own ``recv`` answers all the same."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with context.wrap_socket(pair[0], server_side=True, do_handshake_on_connect=False) as server:
        assert not watch(server).gone()
        pair[1].close()
        assert watch(server).gone()


def test_socket_that_was_closed_here_is_gone(pair: Pair) -> None:
    """A connection that our own server closed needs no answer."""
    pair[0].close()
    assert watch(pair[0]).gone()


def test_without_a_socket_the_client_is_there() -> None:
    """Under other servers the watch knows nothing, and says so."""
    assert not ClientWatch({}).gone()
