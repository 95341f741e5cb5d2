"""`pyllama run` on a terminal, with the real model."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("there is no pseudo-terminal", allow_module_level=True)

from tests.cli.terminal import TerminalSession

pytestmark = [pytest.mark.model, pytest.mark.e2e]

Start = Callable[..., TerminalSession]


@pytest.fixture
def start(model_path: Path) -> Iterator[Start]:
    """What starts the command on a terminal."""
    sessions: list[TerminalSession] = []

    def make(*options: str, term: str = "xterm") -> TerminalSession:
        arguments = ["run", str(model_path), "--no-history", "-t", "1", *options]
        sessions.append(TerminalSession(arguments, term))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()


# What a terminal shows once a line was entered: the end of pasting, or the plain end of the line.
ENTERED = {"xterm": "\x1b[?2004l", "dumb": "sea.\r\n"}


@pytest.mark.parametrize("term", ["xterm", "dumb"])
def test_a_chat(term: str, start: Start) -> None:
    """A question, Ctrl-C in its answer, what was said is kept; another question; /bye."""
    # However the model would end its answers, these have no end of their own.
    session = start("--system", "You are a helpful assistant.", "--ignore-eos", term=term)
    session.until("/bye")
    session.until(">>>")
    session.type("Write a very long story about the sea.\r")
    session.until(ENTERED[term])
    session.until(" ")
    session.type("\x03")
    assert "[stopped]" in session.until("[stopped]")
    session.until(">>>")
    session.type("/history\r")
    assert "assistant:" in session.until("assistant:")
    session.until(">>>")
    session.type("/clear\r")
    session.until("anew")
    session.until(">>>")
    session.type("/set max_tokens 3\r")
    session.until("max_tokens = 3")
    session.until(">>>")
    session.type("What is the capital of France?\r")
    session.until("[stopped at the limit of 3 tokens; /continue goes on")
    session.until(">>>")
    session.type("/continue\r")
    session.until("[stopped at the limit of 3 tokens")
    session.until(">>>")
    session.type("/bye\r")
    assert session.end() == 0


def test_rows_colours_and_figures(start: Start) -> None:
    """Alt+Enter makes one question of two rows; --verbose shows what it cost, dimmed."""
    session = start("--max-tokens", "5", "--ignore-eos", "--verbose")
    session.until(">>>")
    session.type("Say\x1b\rhi\r")
    assert "5 tokens at" in session.until("5 tokens at")
    session.until("length\r\n")
    session.until(">>>")
    session.type("/history\r")
    shown = session.until("assistant:")
    assert "Say\r\nhi\r\n" in shown
    session.until(">>>")
    session.type("\x03")
    session.until("once more")
    session.until(">>>")
    session.type("\x03")
    assert session.end() == 0


def test_a_batch_shows_how_far_it_is(model_path: Path, tmp_path: Path) -> None:
    """A bar counts the lines, those of an earlier run among them; the figures follow it."""
    source, output = tmp_path / "in", tmp_path / "out"
    source.write_text('{"prompt": "a", "max_tokens": 2}\n\n' * 3, "utf-8")
    output.write_text('{"index":0,"text":"x"}\n', "utf-8")
    arguments = ["batch", str(source), str(output), "-m", str(model_path), "-t", "2"]
    session = TerminalSession(arguments, "xterm")
    try:
        assert "1/3" in session.until("3/3")
        session.until("2 lines, 0 of them failed; 4 tokens")
        session.until("1 were there")
        assert session.end() == 0
    finally:
        session.close()


def test_ctrl_d_leaves(start: Start) -> None:
    """The end of the input is the end of the chat."""
    session = start("--no-color", term="dumb")
    session.until(">>>")
    session.type("\x04")
    assert session.end() == 0
