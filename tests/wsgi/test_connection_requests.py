"""Requests of a connection, put together from bytes as they come."""

from __future__ import annotations

import itertools
import os
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import (
    InvalidChunkSize,
    InvalidHeader,
    InvalidRequestLine,
    LimitRequestHeaders,
    UnsupportedTransferCoding,
)
from gunicorn.http.parser import RequestParser
from hypothesis import given, settings
from hypothesis import strategies as st

from wsgi.connections.requests import RequestReader

CFG = Config()
ADDRESS = ("192.0.2.1", 40000)
LIMIT = 1000

GET = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"
SIZED = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
EMPTY = b"POST /e HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
CHUNKED = (
    b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nTrailer-A: 1\r\n\r\n"
)
BARE = b"\r\n" + GET
WHOLE = [GET, OLD, SIZED, EMPTY, CHUNKED, BARE]


def reader(limit: int = LIMIT, head_bytes: int = 65536) -> RequestReader:
    return RequestReader(CFG, ADDRESS, head_bytes, lambda _path: limit)


def answered(each: RequestReader) -> tuple[str, str, bytes]:
    """Return what gunicorn's worker finds of a request, its body read to the end."""
    each.inbox.seal()
    request: Any = next(each.parser)
    return (request.method, request.path, request.body.read())


def requests_of(each: RequestReader, pieces: list[bytes]) -> list[tuple[str, str, bytes]]:
    """Feed pieces; answer each request as soon as it is there."""
    found = []
    for piece in pieces:
        rest = piece
        while each.feed(rest):
            found.append(answered(each))
            assert each.parser.finish_body()
            rest = each.next()
            if not rest:
                break
    return found


def by_gunicorn(data: bytes) -> list[tuple[str, str, bytes]]:
    """Return what gunicorn's parser alone makes of the bytes of a connection."""
    parser: Any = RequestParser(CFG, [data], ADDRESS)
    found = []
    for request in parser:
        found.append((request.method, request.path, request.body.read()))
        parser.mesg.must_close = False
    return found


@st.composite
def deals(draw: st.DrawFn) -> tuple[bytes, list[bytes]]:
    """Some requests in a row, and pieces that they come in."""
    data = b"".join(draw(st.lists(st.sampled_from(WHOLE), min_size=1, max_size=4)))
    cuts = sorted(draw(st.sets(st.integers(1, len(data) - 1), max_size=12)))
    edges = [0, *cuts, len(data)]
    return data, [data[a:b] for a, b in itertools.pairwise(edges)]


@settings(deadline=None)
@given(deals())
def test_requests_are_gunicorns_however_they_come(deal: tuple[bytes, list[bytes]]) -> None:
    """Whatever the pieces, the requests are those that gunicorn's parser finds, in their order."""
    data, pieces = deal
    each = reader()
    # One that ends its connection is followed by none; here it is the framing that counts.
    expected = by_gunicorn(data.replace(b"HTTP/1.0", b"HTTP/1.1"))
    made = requests_of(each, _as_1_1(data, pieces))
    assert made == expected


def _as_1_1(data: bytes, pieces: list[bytes]) -> list[bytes]:
    new, at, made = data.replace(b"HTTP/1.0", b"HTTP/1.1"), 0, []
    for piece in pieces:
        made.append(new[at : at + len(piece)])
        at += len(piece)
    return made


@pytest.mark.parametrize("data", WHOLE)
def test_single_bytes_are_enough(data: bytes) -> None:
    """A request that comes byte by byte is whole with its last byte, and not before."""
    each = reader()
    assert [each.feed(bytes((byte,))) for byte in data] == [False] * (len(data) - 1) + [True]


REFUSED: list[tuple[bytes, type[Exception]]] = [
    (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", InvalidHeader),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", InvalidHeader),
    (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", InvalidHeader),
    (b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", InvalidHeader),
    (b"POST / HTTP/1.1\r\nContent-Length: +5\r\n\r\n", InvalidHeader),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", InvalidHeader),
    (b"POST / HTTP/1.1\r\nTransfer-Encoding: odd\r\n\r\n", UnsupportedTransferCoding),
    (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", InvalidHeader),
    (b"GET / HTTP/1.1\r\nHost: x\nX: y\r\n", InvalidHeader),
    (b"GET / HTTP/1.1\n", InvalidRequestLine),
    (b"hello\r\n\r\n", InvalidRequestLine),
    (b"\r\n\r\n", InvalidRequestLine),
    (b"GET / HTTP/1.1\r\n" + 101 * b"A: b\r\n" + b"\r\n", LimitRequestHeaders),
    (b"GET / HTTP/1.1\r\nA: " + 9000 * b"b" + b"\r\n\r\n", LimitRequestHeaders),
]


@pytest.mark.parametrize(("head", "error"), REFUSED)
def test_what_gunicorn_refuses_is_refused(head: bytes, error: type[Exception]) -> None:
    """Ambiguous lengths, bare line feeds and heads over gunicorn's limits raise its exceptions."""
    with pytest.raises(error):
        reader().feed(head)


def test_prefix_that_the_path_does_not_have_is_refused() -> None:
    """A proxy on this machine may name a prefix; a wrong one is the client's fault, not ours."""

    def feed(prefix: bytes) -> bool:
        each = RequestReader(CFG, ("127.0.0.1", 40000), 65536, lambda _path: LIMIT)
        return each.feed(b"GET /a/b HTTP/1.1\r\nSCRIPT_NAME: " + prefix + b"\r\n\r\n")

    assert feed(b"/a")
    with pytest.raises(InvalidHeader):
        feed(b"/b")


@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_head_without_an_end_is_refused(piece: int) -> None:
    """A head that goes on and on is refused at the limit, in whatever pieces it comes."""
    each = reader(head_bytes=10_000)
    each.feed(b"GET / HTTP/1.1\r\n")
    line = b"A: " + 60 * b"b" + b"\r\n"
    data = 200 * line

    def feed() -> None:
        for at in range(0, len(data), piece):
            each.feed(data[at : at + piece])

    with pytest.raises(LimitRequestHeaders):
        feed()


def test_looking_for_the_end_of_a_head_takes_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that comes byte by byte is parsed a few times, not once for each byte."""
    each, n_tries = reader(), 0
    parse = each.parser.parse

    def counted() -> Any:
        nonlocal n_tries
        n_tries += 1
        return parse()

    monkeypatch.setattr(each.parser, "parse", counted)
    for byte in b"GET / HTTP/1.1\r\n" + 20_000 * b"A":
        if n_tries > 5:
            break
        try:
            each.feed(bytes((byte,)))
        except LimitRequestHeaders:
            break
    assert n_tries <= 3


@pytest.mark.parametrize("length", [b"1001", b"9999999"])
def test_announced_body_over_the_limit_is_not_waited_for(length: bytes) -> None:
    """The application is asked at once, to say so; the connection ends with that."""
    each = reader()
    head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
    assert each.feed(head + length + b"\r\n\r\n")
    each.inbox.seal()
    request = next(each.parser)
    assert request.should_close()
    assert not request._expected_100_continue


def test_chunks_over_the_limit_are_not_waited_for() -> None:
    """A body of unknown length goes to the application when it is clearly too long."""
    each, size = reader(), LIMIT + (1 << 20)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert not each.feed(head + b"ffffff\r\n")
    assert not each.feed(size * b"a")
    assert each.feed(b"a")
    each.inbox.seal()
    request = next(each.parser)
    assert request.body.read(LIMIT + 1) == (LIMIT + 1) * b"a"
    assert request.should_close()


def test_body_that_was_not_read_is_skipped() -> None:
    """A request behind a body that nobody read is found all the same."""
    each = reader(limit=1 << 20)
    body = os.urandom(100_000)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
    assert each.feed(head + body + GET)
    each.inbox.seal()
    next(each.parser)
    assert each.parser.finish_body()
    assert each.next() == GET


def test_malformed_chunks_end_the_connection() -> None:
    """Behind chunks that cannot be read nothing is taken for a request."""
    each = reader()
    head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert each.feed(head + b"5x\r\nhello\r\n0\r\n\r\n" + GET)
    each.inbox.seal()
    request = next(each.parser)
    with pytest.raises(InvalidChunkSize):
        request.body.read()
    assert not each.parser.finish_body()


@pytest.mark.parametrize("n_poured", [1, 3])
def test_body_on_disk_is_the_same_body(n_poured: int) -> None:
    """What was poured onto disk, once or several times, is read in its order."""
    each = reader(limit=1 << 20)
    body = os.urandom(300_000)
    each.feed(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n")
    for at in range(n_poured):
        each.feed(body[at * 90_000 : (at + 1) * 90_000])
        each.inbox.pour()
    assert each.inbox.n_on_disk == n_poured * 90_000
    assert each.feed(body[n_poured * 90_000 :] + GET)
    assert answered(each) == ("POST", "/", body)
    assert each.next() == GET
    assert each.inbox.n_on_disk == 0
