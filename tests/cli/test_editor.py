"""What a person types, where the terminal can much and where it can little."""

from __future__ import annotations

import io
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from pyllama.cli.chat.commands import COMMANDS
from pyllama.cli.chat.editor import PlainEditor, RichEditor, make_editor, read_input
from pyllama.cli.console import Console
from tests.cli.conftest import Terminal

BLOCKS = [
    ("hello\n", "hello"),
    ("  /help \n", "/help"),
    ('"""one\n two\n"""\n', "one\n two"),
    ('"""one"""\n', "one"),
    ('"""\none\n\ntwo"""\n', "one\n\ntwo"),
    ('say """x"""\n', 'say """x"""'),
]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], PlainEditor]:
    """What makes an editor on a dumb terminal of what is typed there."""

    def make(text: str) -> PlainEditor:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))
        return PlainEditor(Console(Terminal(), environ={}))

    return make


@pytest.fixture
def keys() -> Iterator[Callable[[str], None]]:
    """What presses keys on a terminal that can much."""
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        yield pipe.send_text


@pytest.mark.parametrize(("text", "read"), BLOCKS)
def test_plain_lines(text: str, read: str, typed: Callable[[str], PlainEditor]) -> None:
    """A line is an input, and what stands between three quotes is one, whatever its lines."""
    assert read_input(typed(text)) == read


@pytest.mark.parametrize("text", ["", '"""one\n'])
def test_the_end_of_what_is_typed(text: str, typed: Callable[[str], PlainEditor]) -> None:
    """Ctrl-D ends the chat, in the middle of a block too."""
    with pytest.raises(EOFError):
        read_input(typed(text))


def test_a_plain_prompt_begins_its_own_line(typed: Callable[[str], PlainEditor]) -> None:
    """After a line was typed the terminal is at the start of the next one."""
    editor = typed("a\nb\n")
    out: Any = editor._console._out
    read_input(editor)
    read_input(editor)
    assert out.getvalue() == ">>> >>> "


@pytest.mark.parametrize(("text", "read"), BLOCKS)
def test_edited_lines(text: str, read: str, keys: Callable[[str], None]) -> None:
    """A terminal that can more reads the same."""
    keys(text.replace("\n", "\r"))
    assert read_input(RichEditor(None)) == read


@pytest.mark.parametrize(
    ("pressed", "read"),
    [
        ("a\x1b\rb\r", "a\nb"),
        ("\x1b[200~a\nb\x1b[201~\r", "a\nb"),
        ("abc\x7f\x01x\r", "xab"),
    ],
    ids=["alt-enter", "paste", "editing"],
)
def test_keys(pressed: str, read: str, keys: Callable[[str], None]) -> None:
    """Alt+Enter begins a row, a pasted text is one input, and a line can be edited."""
    keys(pressed)
    assert read_input(RichEditor(None)) == read


@pytest.mark.parametrize(
    ("text", "offered"), [("/re", ["/regenerate"]), ("/", None), ("a /re", []), ("re", [])]
)
def test_commands_are_completed(text: str, offered: list[str] | None) -> None:
    """Tab offers the commands that begin like the line, and nothing within a text."""
    completer = RichEditor(None)._session.completer
    assert completer is not None
    found = [item.text for item in completer.get_completions(Document(text), CompleteEvent())]
    assert found == ([command.name for command in COMMANDS] if offered is None else offered)


@pytest.mark.parametrize(("key", "error"), [("\x03", KeyboardInterrupt), ("\x04", EOFError)])
def test_keys_that_leave(key: str, error: type[BaseException], keys: Callable[[str], None]) -> None:
    """Ctrl-C and Ctrl-D are told to the loop."""
    keys(key)
    with pytest.raises(error):
        read_input(RichEditor(None))


def test_history_outlives_the_chat(
    keys: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What was typed comes back with the arrow in the next chat; nobody else may read it."""
    monkeypatch.setenv("PYLLAMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "stdout", Terminal())
    console = Console(Terminal(), environ={"TERM": "xterm"})
    keys("first\r")
    assert read_input(make_editor(console, keeps_history=True)) == "first"
    keys("\x1b[A!\r")
    assert read_input(make_editor(console, keeps_history=True)) == "first!"
    (file,) = (tmp_path / "cache").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0
    keys("\x1b[Anew\r")
    assert read_input(make_editor(console, keeps_history=False)) == "new"
    assert "new" not in file.read_text("utf-8")


def test_a_dumb_terminal_gets_the_plain_editor() -> None:
    """Where the cursor cannot be moved, lines are read as they come."""
    console = Console(Terminal(), environ={"TERM": "dumb"})
    assert isinstance(make_editor(console, keeps_history=True), PlainEditor)
