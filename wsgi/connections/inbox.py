"""What a connection has sent and no parser has taken: in memory, a large body on disk."""

from __future__ import annotations

import io
import tempfile
from typing import IO

from ..gunicorn_seam import Unreader

PIECE_BYTES = 1024 * 1024
"""What a parser is given at a time, at most."""
_LEAST_PIECE_BYTES = 64 * 1024


class NeedsMore(Exception):
    """A parser asked for bytes that have not come yet."""


class Inbox(Unreader):
    """The source that gunicorn's parsers read from, in the place of a socket.

    Its order is: what a parser gave back, the file, the memory. It is written to until a request
    is whole, and read from then on.
    """

    def __init__(self) -> None:
        super().__init__()
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._is_sealed = False
        self.n_on_disk = 0

    @property
    def n_in_memory(self) -> int:
        """Bytes that :meth:`pour` would write."""
        return len(self._memory)

    def put(self, data: bytes) -> None:
        """Add what came."""
        self._memory += data

    def pour(self) -> None:
        """Move what is in memory to the end of the file; blocks. Raises OSError."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by close()
        rest = memoryview(self._memory)
        while rest:
            n_written = self._file.write(rest)
            self.n_on_disk += n_written
            rest = rest[n_written:]
        rest.release()
        self._memory = bytearray()

    def seal(self) -> None:
        """End the writing: what a parser does not find here is not there."""
        self._is_sealed = True
        if self._file is not None:
            self._file.seek(0)

    def chunk(self, size_hint: int | None = None) -> bytes:
        """Return the next bytes, none at the end; called by the parsers.

        Raises:
            NeedsMore: there are none, and more may come.
        """
        if self._file is not None:
            wanted = min(max(size_hint or 0, _LEAST_PIECE_BYTES), PIECE_BYTES)
            if data := self._file.read(wanted):
                return data
            self.close()
        data = bytes(self._memory)
        if not data and not self._is_sealed:
            raise NeedsMore
        self._memory = bytearray()
        return data

    def begin(self, data: bytes = b"") -> None:
        """Forget all, and hold this."""
        self.close()
        self.buf = io.BytesIO()
        self._memory = bytearray(data)
        self._is_sealed = False

    def rest(self) -> bytes:
        """Return what no parser has taken, and forget all: the beginning of the next request."""
        parts = [self.buf.getvalue()]
        if self._file is not None:
            parts.append(self._file.read())
        parts.append(bytes(self._memory))
        self.begin()
        return b"".join(parts)

    def close(self) -> None:
        """Delete the file."""
        self.n_on_disk = 0
        if self._file is not None:
            self._file.close()
            self._file = None
