"""A batch's input, one line at a time: a file of any size takes no more memory than a small one."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pyllama.errors import ConfigError, PyllamaError

if TYPE_CHECKING:
    from collections.abc import Iterator

STANDARD = "-"
MAX_LINE = 64 * 2**20
"""Bytes of a line, at most."""
_BLOCK = 2**20


class Source:
    """The lines of a file, or of standard input.

    Args:
        path: the file; ``-`` is standard input.

    Raises:
        ConfigError: it cannot be read.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._is_at_end = False
        try:
            self._file = _open(path)
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error}") from error

    def count(self) -> int | None:
        """Return how many lines with something on them there are; None if it cannot be known."""
        if self._path == STANDARD or not Path(self._path).is_file():
            return None
        with closing(Source(self._path)) as other:
            return sum(1 for _ in other.lines())

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield each line that is not blank with its number from 0.

        Of one that is too long the beginning comes, one byte longer than allowed.

        Raises:
            PyllamaError: the file cannot be read any further.
        """
        try:
            yield from self._lines()
        except OSError as error:
            raise PyllamaError(f"cannot read {self._path}: {error}") from error

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        index = 0
        while data := self._file.readline(MAX_LINE + 1):
            if len(data) > MAX_LINE and not data.endswith(b"\n"):
                self._skip_line()
            if data.strip():
                yield index, data
            index += 1
        self._is_at_end = True

    def is_same_file(self, path: Path) -> bool:
        """Tell whether this is the file at a path."""
        if self._path == STANDARD or not path.exists():
            return False
        return os.path.samestat(os.fstat(self._file.fileno()), path.stat())

    def close(self) -> None:
        """Close the file; idempotent. Standard input stays open for whoever still waits for it."""
        if self._path != STANDARD or self._is_at_end:
            self._file.close()

    def _skip_line(self) -> None:
        while (data := self._file.readline(_BLOCK)) and not data.endswith(b"\n"):
            pass


def _open(path: str) -> BinaryIO:
    if path != STANDARD:
        return Path(path).open("rb")
    # A file object of its own: a thread may still wait in it when Python ends, and Python's own
    # must be free by then.
    return os.fdopen(os.dup(sys.stdin.fileno()), "rb")
