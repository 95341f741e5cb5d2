"""A batch's output: results that are there already, and new ones after them."""

from __future__ import annotations

import os
import stat
import sys
import time
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from pyllama.cli.batch.source import STANDARD
from pyllama.errors import ConfigError, PyllamaError

if TYPE_CHECKING:
    from pyllama.cli.batch.lines import Line
    from pyllama.cli.batch.results import Result

_START = b'{"index":'
_SYNC_S = 1.0
# Of each line that is done a few bytes are remembered.
_MAX_INDEX = 2**27
_BLOCK = 2**20


class Journal:
    """The output file: it is only ever added to, so that what was answered stays answered.

    A process that is killed leaves a torn last line at most. It is cut off, and its request is
    answered again.

    Args:
        path: the file; ``-`` is standard output, of which nothing can be known.

    Raises:
        ConfigError: the file holds something else, or cannot be written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        # By index: 0 where there is no result, else a mark of the line's id.
        self._marks = array("q")
        self.n_before = 0
        """Results that were there already."""
        self.n_failed_before = 0
        self._synced_s = time.monotonic()
        self._is_standard = path == STANDARD
        try:
            self._file = self._open()
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error}") from error

    def has(self, line: Line) -> bool:
        """Tell whether a line has its result.

        Raises:
            ConfigError: it has the result of another line.
        """
        mark = self._marks[line.index] if line.index < len(self._marks) else 0
        if mark == 0:
            return False
        if mark != _mark(line.id):
            raise ConfigError(
                f"{self._path} has results of another input: line {line.index} of this one is "
                f"{line.id!r}; write to another file"
            )
        return True

    def write(self, result: Result) -> None:
        """Add a result. It survives the process at once, the machine within a second.

        Raises:
            PyllamaError: the disk is full, or the like.
            BrokenPipeError: nobody reads any more.
        """
        try:
            self._write(result.data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise PyllamaError(f"cannot write {self._path}: {error}") from error

    def close(self) -> None:
        """Bring everything to the disk, and close the file; idempotent."""
        if not self._is_standard and not self._file.closed:
            with self._file:
                self._sync()

    def _write(self, data: bytes) -> None:
        while data:
            data = data[self._file.write(data) :]
        if self._is_standard:
            self._file.flush()
        elif time.monotonic() - self._synced_s >= _SYNC_S:
            self._sync()

    def _sync(self) -> None:
        """Wait until what was written is on the disk; a pipe or a device has none."""
        if stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
            os.fsync(self._file.fileno())
        self._synced_s = time.monotonic()

    def _open(self) -> BinaryIO:
        if self._is_standard:
            return sys.stdout.buffer
        path = Path(self._path)
        if path.exists() and path.is_file():
            self._read(path)
        # Without a buffer: a result is in the hands of the system when write() returns.
        return path.open("ab", buffering=0)

    def _read(self, path: Path) -> None:
        with path.open("r+b") as file:
            end = 0
            for number, data in enumerate(file, 1):
                if not data.endswith(b"\n"):
                    self._check_torn(data, number)
                    file.truncate(end)
                    break
                self._note(data, number)
                end += len(data)

    def _note(self, data: bytes, number: int) -> None:
        index, line_id, is_failure = self._parse(data, number)
        self._marks.extend([0] * (index + 1 - len(self._marks)))
        if not self._marks[index]:
            self.n_before += 1
            self.n_failed_before += is_failure
        self._marks[index] = _mark(line_id)

    def _parse(self, data: bytes, number: int) -> tuple[int, Any, bool]:
        try:
            given = orjson.loads(data)
            index = given["index"]
            if type(index) is not int or not 0 <= index < _MAX_INDEX:
                raise self._foreign(number)
            line_id = given["custom_id"] if "custom_id" in given else given.get("id")
            return index, line_id, given.get("error") is not None
        except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
            raise self._foreign(number) from None

    def _check_torn(self, data: bytes, number: int) -> None:
        """Refuse to cut off what is no beginning of a result."""
        if not data.startswith(_START) and not _START.startswith(data):
            raise self._foreign(number)

    def _foreign(self, number: int) -> ConfigError:
        return ConfigError(
            f"{self._path}, line {number}, is no result of a batch; write to another file"
        )


def _mark(line_id: Any) -> int:
    """Return a number for an id, never 0; ids that differ have different ones, almost certainly."""
    return hash((type(line_id).__name__, line_id)) | 1
