"""One prompt, one answer: the answer alone on standard output, all else on standard error."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pyllama.cli.attachments import STDIN
from pyllama.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyllama.cli.chat.state import Chat

_MAX_STDIN = 64 * 2**20


def read_prompt(given: str | None, attached: Sequence[str]) -> str:
    """Return the prompt: the one that was given, else standard input.

    Raises:
        ConfigError: there is none, or it is no text.
    """
    if given is not None:
        prompt = given
    elif STDIN in attached:
        raise ConfigError("standard input is attached already; give the prompt with --prompt")
    else:
        data = sys.stdin.buffer.read(_MAX_STDIN + 1)
        if len(data) > _MAX_STDIN:
            raise ConfigError(f"the prompt on standard input is larger than {_MAX_STDIN} bytes")
        try:
            # As a shell does with what a command prints: the end of the last line is no text.
            prompt = data.decode("utf-8-sig").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise ConfigError(f"the prompt on standard input is not UTF-8: {error}") from error
    if not prompt.strip():
        raise ConfigError("the prompt is empty")
    return prompt


def answer_once(chat: Chat, prompt: str) -> int:
    """Answer a prompt; return the exit status.

    Raises:
        PyllamaError: the answer failed.
    """
    answer = chat.ask(prompt)
    if answer.finish_reason is None:
        return 130
    if answer.finish_reason == "length" and "json_schema" in chat.options:
        # Half of a JSON text is worth nothing to whoever waits for it.
        chat.notes.line("pyllama: the JSON is incomplete: the answer was cut", "warn")
        return 1
    return 0
