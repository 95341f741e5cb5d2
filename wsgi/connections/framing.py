"""Where the body of a request ends, found while it comes.

What stands in a body, and where the next request begins, is for gunicorn's parser alone to say,
once it is given the body. What is found here decides only when that is: too early, and the parser
finds the body cut short; too late, and the request waits for its deadline.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

from ..gunicorn_seam import body_length

_SIZE = re.compile(rb"[ \t]*([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?", re.DOTALL)
_MAX_LINE_BYTES = 16 * 1024
_MAX_TRAILER_BYTES = 64 * 1024
_MANY_CHUNKS = 4096
_SMALL_CHUNK_BYTES = 16
_READ_AHEAD_BYTES = 1024 * 1024
_FRAMING_BYTES = 64 * 1024


class Body(Protocol):
    """A body that comes."""

    @property
    def n_bytes(self) -> int:
        """Of what it holds, so far."""

    @property
    def n_left(self) -> int:
        """That must come, at least."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing."""

    def take(self, data: bytes) -> None:
        """Look at what came."""

    def is_longer(self, limit: int) -> bool:
        """Return whether it has, or will have, more bytes than this."""


def body_of(request: Any) -> Body:
    """Return the body that one of gunicorn's requests announces."""
    length = body_length(request)
    return ChunkedBody() if length is None else SizedBody(length)


class SizedBody:
    """A body whose length was announced."""

    def __init__(self, n_bytes: int) -> None:
        self._length = n_bytes
        self.n_bytes = 0

    @property
    def n_left(self) -> int:
        """What is missing."""
        return self._length - self.n_bytes

    @property
    def is_whole(self) -> bool:
        """Whether nothing is."""
        return self.n_left == 0

    def take(self, data: bytes) -> None:
        """Count what came."""
        self.n_bytes = min(self.n_bytes + len(data), self._length)

    def is_longer(self, limit: int) -> bool:
        """Return whether more was announced."""
        return self._length > limit


class ChunkedBody:
    """A body in chunks. One that is malformed, or mostly framing, counts as whole at once."""

    def __init__(self) -> None:
        self.n_bytes = 0
        self.n_left = 0
        self.is_whole = False
        self._line = b""
        self._n_lines_bytes = 0
        self._n_chunks = 0
        self._is_behind_data = False
        self._n_trailer_bytes: int | None = None

    def take(self, data: bytes) -> None:
        """Follow the chunks."""
        at = 0
        while at < len(data) and not self.is_whole:
            if self.n_left:
                n_taken = min(self.n_left, len(data) - at)
                self.n_left -= n_taken
                self.n_bytes += n_taken
                self._is_behind_data = self.n_left == 0
                at += n_taken
                continue
            end = data.find(b"\n", at)
            if end < 0:
                self._line += data[at:]
                self.is_whole = len(self._line) > _MAX_LINE_BYTES
                return
            line, self._line = self._line + data[at:end], b""
            at = end + 1
            self._take_line(line.removesuffix(b"\r"))

    def is_longer(self, limit: int) -> bool:
        """Return whether more has come, enough of it for a reader that reads ahead to see it."""
        return self.n_bytes > limit + _READ_AHEAD_BYTES

    def _take_line(self, line: bytes) -> None:
        if self._n_trailer_bytes is not None:
            self._n_trailer_bytes += len(line) + 2
            self.is_whole = not line or self._n_trailer_bytes > _MAX_TRAILER_BYTES
        elif self._is_behind_data:
            self._is_behind_data = False
            self.is_whole = bool(line)
        else:
            self._begin_chunk(line)

    def _begin_chunk(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        if found is None:
            self.is_whole = True
            return
        self.n_left = int(found[1], 16)
        if not self.n_left:
            self._n_trailer_bytes = 0
            return
        self._n_chunks += 1
        self._n_lines_bytes += len(line) + 4
        # Each chunk costs the same, whatever it holds.
        too_many = self._n_chunks > _MANY_CHUNKS + self.n_bytes // _SMALL_CHUNK_BYTES
        self.is_whole = too_many or self._n_lines_bytes > _FRAMING_BYTES + 4 * self.n_bytes
