"""What a terminal is shown: answers, thoughts and notes, told apart by their style."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TextIO

_STYLES = {"dim": "\x1b[2m", "bold": "\x1b[1m", "warn": "\x1b[33m"}
_RESET = "\x1b[0m"
# A model could move the cursor, rename the window or worse.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class Console:
    """One stream that a person reads, or a program.

    Args:
        out: the stream.
        color: whether styles may show; None: if the stream is a terminal that takes them.
        environ: the process's environment.
    """

    def __init__(
        self, out: TextIO, *, color: bool | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._out = out
        self.is_terminal = out.isatty()
        self.is_dumb = not self.is_terminal or environ.get("TERM", "") in {"", "dumb"}
        wants_color = not environ.get("NO_COLOR") if color is None else color
        self.has_color = wants_color and not self.is_dumb
        self._is_at_start = True

    def write(self, text: str, style: str = "") -> None:
        """Show a text at once. On a terminal it loses its control characters."""
        if not text:
            return
        if self.is_terminal:
            text = _CONTROLS.sub("", text)
        self._is_at_start = text.endswith("\n") if text else self._is_at_start
        if style and self.has_color:
            text = f"{_STYLES[style]}{text}{_RESET}"
        self._out.write(text)
        self._out.flush()

    def line(self, text: str, style: str = "") -> None:
        """Show a line of its own."""
        self.end_line()
        self.write(f"{text}\n", style)

    def entered(self) -> None:
        """Know that the person ended the line, which the terminal shows by itself."""
        self._is_at_start = True

    def end_line(self) -> None:
        """Begin a new line, unless the last text ended one."""
        if not self._is_at_start:
            self.write("\n")
