"""What a person types: lines with history and several rows where the terminal can, else plainly."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pyllama.cli.chat.commands import COMMANDS
from pyllama.errors import PyllamaError
from pyllama.hub.cache import cache_folder

if TYPE_CHECKING:
    from pyllama.cli.console import Console

_BLOCK = '"""'
_PROMPT = ">>> "
_CONTINUED = "... "
_FILE_MODE = 0o600


class Editor(Protocol):
    """Reads what is typed."""

    def read(self, prompt: str) -> str:
        """Return the next input, without the line end.

        Raises:
            EOFError: there is no more.
            KeyboardInterrupt: Ctrl-C.
        """
        ...


class PlainEditor:
    """Reads lines where the terminal can do no more."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def read(self, prompt: str) -> str:
        """Read a line from standard input."""
        self._console.end_line()
        self._console.write(prompt)
        line = sys.stdin.readline()
        if line.endswith("\n"):
            self._console.entered()
        self._console.end_line()
        if not line:
            raise EOFError
        return line.rstrip("\n")


class RichEditor:
    """Reads lines that can be edited, recalled and completed; Alt+Enter begins another row.

    Args:
        history: the file of what was typed; None keeps it for this chat only.
        has_color: whether anything may be coloured.
    """

    def __init__(self, history: Path | None, *, has_color: bool = True) -> None:
        # Loaded here: no other command needs it, and it takes a tenth of a second.
        from prompt_toolkit import PromptSession  # noqa: PLC0415
        from prompt_toolkit.completion import WordCompleter  # noqa: PLC0415
        from prompt_toolkit.history import FileHistory, History, InMemoryHistory  # noqa: PLC0415
        from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent  # noqa: PLC0415
        from prompt_toolkit.output import ColorDepth  # noqa: PLC0415

        kept: History = InMemoryHistory() if history is None else FileHistory(str(history))
        keys = KeyBindings()

        @keys.add("escape", "enter")
        def _begin_row(event: KeyPressEvent) -> None:
            event.current_buffer.insert_text("\n")

        self._session: PromptSession[str] = PromptSession(
            history=kept,
            key_bindings=keys,
            # As a sentence, so that a slash within a text completes nothing.
            completer=WordCompleter([command.name for command in COMMANDS], sentence=True),
            complete_while_typing=False,
            prompt_continuation=_CONTINUED,
            color_depth=None if has_color else ColorDepth.DEPTH_1_BIT,
        )

    def read(self, prompt: str) -> str:
        """Let the person edit an input."""
        return self._session.prompt(prompt)


def make_editor(console: Console, *, keeps_history: bool) -> Editor:
    """Return the best editor for where a chat happens."""
    if console.is_dumb or not sys.stdout.isatty():
        return PlainEditor(console)
    history = _history_file() if keeps_history else None
    return RichEditor(history, has_color=console.has_color)


def read_input(editor: Editor) -> str:
    """Return a question or command; what begins with three quotes goes on until three others.

    Raises:
        EOFError: there is no more.
        KeyboardInterrupt: Ctrl-C; what was typed of it is dropped.
    """
    text = editor.read(_PROMPT)
    if not text.lstrip().startswith(_BLOCK):
        return text.strip()
    body = text.lstrip().removeprefix(_BLOCK)
    while _BLOCK not in body:
        body += "\n" + editor.read(_CONTINUED)
    return body.partition(_BLOCK)[0].strip("\n")


def _history_file() -> Path | None:
    """Return the file of what was typed, readable by its owner alone; None where there is none."""
    try:
        path = cache_folder() / "history"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, _FILE_MODE))
    except (OSError, PyllamaError):
        return None
    return path
