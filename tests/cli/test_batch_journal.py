"""The output of a batch: only added to, gone on with, and never another file's end."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyllama.cli.batch.journal import Journal
from pyllama.cli.batch.lines import read_line
from pyllama.cli.batch.results import Result, failed
from pyllama.cli.batch.source import MAX_LINE, Source
from pyllama.errors import ConfigError, InvalidRequest, PyllamaError

DONE = b'{"index":0,"id":"a","text":"x"}\n{"index":2,"error":{"code":"x"}}\n'
OPENAI = b'{"index":1,"id":"batch_req_1","custom_id":"b","response":{},"error":null}\n'


def line(index: int, line_id: str | None = None) -> bytes:
    return b'{"prompt":"p"}' if line_id is None else f'{{"id":"{line_id}"}}'.encode()


def test_results_that_are_there_are_known(tmp_path: Path) -> None:
    """By their index, and with their ids, failures among them."""
    path = tmp_path / "out"
    path.write_bytes(DONE + OPENAI)
    journal = Journal(str(path))
    assert (journal.n_before, journal.n_failed_before) == (3, 1)
    assert journal.has(read_line(0, line(0, "a")))
    assert journal.has(read_line(1, line(1, "b")))
    assert journal.has(read_line(2, line(2)))
    assert not journal.has(read_line(3, line(3)))
    journal.close()


def test_results_are_added(tmp_path: Path) -> None:
    """What is there stays, what comes follows it, and is in the file at once."""
    path = tmp_path / "out"
    path.write_bytes(DONE)
    journal = Journal(str(path))
    result = failed(read_line(5, b"["), InvalidRequest("no", param="p"))
    journal.write(result)
    expected = b'{"index":5,"error":{"code":"InvalidRequest","message":"no","param":"p"}}\n'
    assert path.read_bytes() == DONE + expected
    journal.close()
    journal.close()


@pytest.mark.parametrize("length", range(1, len(OPENAI)))
def test_a_torn_last_line_is_cut_off(length: int, tmp_path: Path) -> None:
    """Wherever a process was killed, what remains is whole lines."""
    path = tmp_path / "out"
    path.write_bytes(DONE + OPENAI[:length])
    journal = Journal(str(path))
    assert not journal.has(read_line(1, line(1, "b")))
    journal.write(Result(index=1, data=OPENAI, is_failure=False))
    journal.close()
    assert path.read_bytes() == DONE + OPENAI


@pytest.mark.parametrize(
    "data",
    [
        b"my diary",
        b"my diary\n",
        DONE + b"[1]\n",
        DONE + b'{"text":"x"}\n',
        DONE + b'{"index":-1}\n',
        DONE + b'{"index":true}\n',
        DONE + b'{"index":99999999999999}\n',
        DONE + b'{"index":"0"}\n',
        DONE + b"\n",
        DONE + b"\0\0",
        DONE + b'{"indexes":',
    ],
)
def test_another_file_is_never_touched(data: bytes, tmp_path: Path) -> None:
    """A file that holds anything but results is refused, and stays as it is."""
    path = tmp_path / "out"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match="is no result of a batch"):
        Journal(str(path))
    assert path.read_bytes() == data


def test_results_of_another_input_are_refused(tmp_path: Path) -> None:
    """Where an id is not the one that was answered, nothing is taken for done."""
    path = tmp_path / "out"
    path.write_bytes(DONE)
    journal = Journal(str(path))
    with pytest.raises(ConfigError, match="another input"):
        journal.has(read_line(0, line(0, "b")))
    journal.close()


def test_an_output_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """A folder that does not exist, or that is where the file should be, is named."""
    for path in (tmp_path / "none" / "out", tmp_path):
        with pytest.raises(ConfigError, match="cannot write"):
            Journal(str(path))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is full")
def test_a_full_disk_is_an_error() -> None:
    """What cannot be written is reported, and the file is closed all the same."""
    journal = Journal("/dev/full")
    with pytest.raises(PyllamaError, match=r"cannot write /dev/full: .*space"):
        journal.write(Result(index=1, data=OPENAI, is_failure=False))
    journal.close()
    journal.close()


def test_the_input_is_numbered_by_its_lines(tmp_path: Path) -> None:
    """Blank lines count, but are no requests; the last line needs no end."""
    path = tmp_path / "in"
    path.write_bytes(b"a\n\n  \nb\r\nc")
    source = Source(str(path))
    assert source.count() == 3
    assert list(source.lines()) == [(0, b"a\n"), (3, b"b\r\n"), (4, b"c")]
    source.close()


def test_a_line_without_an_end_is_no_danger(tmp_path: Path) -> None:
    """Of a line that is too long only the beginning is kept; the next one is read."""
    path = tmp_path / "in"
    with path.open("wb") as file:
        file.truncate(MAX_LINE + 3_000_000)
        file.seek(0, 2)
        file.write(b"x\nnext\n")
    source = Source(str(path))
    (_, first), (index, second) = source.lines()
    assert len(first) == MAX_LINE + 1
    assert (index, second) == (1, b"next\n")
    source.close()


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="there is no such file")
def test_an_input_that_breaks_off_is_an_error() -> None:
    """A file that opens but cannot be read is named."""
    source = Source("/proc/self/mem")
    with pytest.raises(PyllamaError, match="cannot read /proc/self/mem"):
        next(source.lines())
    source.close()


def test_an_input_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """The path is named."""
    with pytest.raises(ConfigError, match="none"):
        Source(str(tmp_path / "none"))
