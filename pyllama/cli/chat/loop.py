"""The loop of a chat: read, do, show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyllama.cli.chat.commands import Leave, execute
from pyllama.cli.chat.editor import make_editor, read_input
from pyllama.errors import ContextOverflow, PyllamaError

if TYPE_CHECKING:
    from pyllama.cli.chat.editor import Editor
    from pyllama.cli.chat.state import Chat


def converse(chat: Chat, *, keeps_history: bool, editor: Editor | None = None) -> int:
    """Hold a chat until the person leaves; return the exit status.

    Args:
        chat: the chat.
        keeps_history: whether a file remembers what was typed.
        editor: reads what is typed; None takes the best that the terminal allows.
    """
    editor = editor or make_editor(chat.notes, keeps_history=keeps_history)
    chat.notes.line(f"{chat.llm.info.id}, {chat.llm.n_ctx} tokens of context. /help, /bye", "dim")
    was_interrupted = False
    while True:
        try:
            text = read_input(editor)
        except EOFError:
            return 0
        except KeyboardInterrupt:
            if was_interrupted:
                return 0
            was_interrupted = True
            chat.notes.line("(Ctrl-C once more leaves, as does /bye)", "dim")
            continue
        was_interrupted = False
        try:
            _do(chat, text)
        except Leave:
            return 0
        except PyllamaError as error:
            if chat.llm.status().state == "dead":
                raise
            chat.notes.line(f"{error}", "warn")
            if isinstance(error, ContextOverflow):
                chat.notes.line("/undo and /clear make room.", "warn")


def _do(chat: Chat, text: str) -> None:
    if text.startswith("/"):
        execute(chat, text)
    elif text:
        chat.ask(text)
