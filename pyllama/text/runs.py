"""Free text that is passed on without parsing it, up to what may end it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Delimiters:
    """The texts that can end a free text, prepared for many answers.

    Args:
        texts: none may be empty.
    """

    __slots__ = ("_beginnings", "_longest", "_pattern")

    def __init__(self, texts: Iterable[str]) -> None:
        found = sorted({text for text in texts if text}, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, found))) if found else None
        self._beginnings = frozenset(text[:n] for text in found for n in range(1, len(text)))
        self._longest = len(found[0]) - 1 if found else 0

    def find(self, text: str) -> int:
        """Return where the first of them begins, or -1."""
        match = self._pattern.search(text) if self._pattern else None
        return -1 if match is None else match.start()

    def held(self, text: str) -> int:
        """Return the length of the longest end of a text that may begin one of them."""
        for n in range(min(self._longest, len(text)), 0, -1):
            if text[-n:] in self._beginnings:
                return n
        return 0


class TextRun:
    """One free text: all is passed on but what ends it, or may be about to.

    Args:
        delimiters: what can end it.
    """

    __slots__ = ("_delimiters", "held")

    def __init__(self, delimiters: Delimiters) -> None:
        self._delimiters = delimiters
        self.held = ""
        """The end of the text that may begin a delimiter."""

    def feed(self, text: str) -> tuple[str, str]:
        """Take in text.

        Returns:
            The free text that is certain, and the rest: a delimiter and all that follows it.
        """
        text = self.held + text
        at = self._delimiters.find(text)
        if at >= 0:
            self.held = ""
            return text[:at], text[at:]
        n_held = self._delimiters.held(text)
        self.held = text[len(text) - n_held :]
        return text[: len(text) - n_held], ""
