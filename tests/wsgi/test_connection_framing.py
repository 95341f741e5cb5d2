"""Where bodies end: chunks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsgi.connections.framing import ChunkedBody


def taken(data: bytes, piece: int = 1 << 20) -> ChunkedBody:
    body = ChunkedBody()
    for at in range(0, len(data), piece):
        body.take(data[at : at + piece])
    return body


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=6), st.integers(1, 40))
def test_chunks_end_with_their_last_byte(chunks: list[bytes], piece: int) -> None:
    """Chunks of any content, in any pieces, are whole with their last byte, and not before."""
    data = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    body = taken(data[:-1], piece)
    was_whole = body.is_whole
    body.take(data[-1:])
    assert (was_whole, body.is_whole) == (False, True)
    assert body.n_bytes == sum(map(len, chunks))


def test_trailers_are_waited_for() -> None:
    """What follows the last chunk is a part of the body, to the empty line."""
    assert not taken(b"0\r\nA: b\r\n").is_whole
    assert taken(b"0\r\nA: b\r\n\r\n").is_whole


@pytest.mark.parametrize(
    "data",
    [
        b"g\r\n",
        b"-5\r\n",
        b"\r\n",
        b"5 5\r\n",
        b"fffffffffffffffff\r\n",
        b"5\r\nhelloX\r\n",
        b"5;" + 20_000 * b"a",
        b"0\r\n" + 9000 * b"A: bcdef\r\n",
    ],
)
def test_what_is_malformed_is_not_waited_for(data: bytes) -> None:
    """Sizes that are none, data without its end and endless lines are for the parser to refuse."""
    assert taken(data).is_whole


@pytest.mark.parametrize("chunk", [b"1\r\na\r\n", b"1;" + 1000 * b"x" + b"\r\na\r\n"])
def test_chunks_that_are_mostly_framing_are_cut_short(chunk: bytes) -> None:
    """A body of very many tiny chunks, or of long extensions, is not read to its end."""
    body = taken(200_000 * chunk if len(chunk) < 10 else 500 * chunk)
    assert body.is_whole
    assert body.n_bytes < 10_000


def test_small_chunks_are_fine() -> None:
    """A client that sends what it has line by line is not cut short."""
    body = taken(20_000 * b"14\r\n01234567890123456789\r\n")
    assert not body.is_whole
    assert body.n_bytes == 400_000
