"""What a terminal is shown, and what a program gets."""

from __future__ import annotations

import io
import os
import signal
from typing import Literal

import pytest

from pyllama.cli.console import Console
from pyllama.cli.interrupt import Interrupt
from tests.cli.conftest import Terminal

XTERM = {"TERM": "xterm"}


@pytest.mark.parametrize(
    ("environ", "color", "shown"),
    [
        (XTERM, None, "\x1b[2mx\x1b[0m"),
        (XTERM, False, "x"),
        ({**XTERM, "NO_COLOR": "1"}, None, "x"),
        ({**XTERM, "NO_COLOR": ""}, None, "\x1b[2mx\x1b[0m"),
        ({"TERM": "dumb"}, None, "x"),
        ({}, None, "x"),
    ],
)
def test_colour_shows_where_it_may(
    environ: dict[str, str],
    color: Literal[False] | None,
    shown: str,
) -> None:
    """An option, NO_COLOR and a dumb terminal each turn colours off."""
    out = Terminal()
    Console(out, color=color, environ=environ).write("x", "dim")
    assert out.getvalue() == shown


def test_a_model_cannot_steer_the_terminal() -> None:
    """Control characters of a text do not reach a terminal; newlines and tabs do."""
    out = Terminal()
    Console(out, environ=XTERM).write("a\x1b[2Jb\x07\r\x9b1m\tc\n")
    assert out.getvalue() == "a[2Jb1m\tc\n"


def test_a_program_gets_the_text_as_it_is() -> None:
    """What is no terminal gets every character, and no colour."""
    out = io.StringIO()
    Console(out, environ=XTERM).write("a\x1b\r\n", "warn")
    assert out.getvalue() == "a\x1b\r\n"


def test_a_line_begins_at_the_start_of_one() -> None:
    """A note does not stand behind a text that ends without a newline, nor after an empty line."""
    out = Terminal()
    console = Console(out, environ={})
    console.line("a")
    console.write("b")
    console.line("c")
    console.write("> ")
    console.entered()
    console.line("d")
    assert out.getvalue() == "a\nb\nc\n> d\n"


def test_the_first_ctrl_c_is_noted_and_the_second_is_raised() -> None:
    """Work can end where it is whole; who is impatient ends it anyway."""
    before = signal.getsignal(signal.SIGINT)
    with Interrupt() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.is_set
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
