"""JSON text followed as it comes: is it still JSON, is the value complete?"""

from __future__ import annotations

import re

_PLAIN = re.compile(r'[^"\\\x00-\x1f]+')
_SCALAR = re.compile(r"(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?)\Z")
_ESCAPE = re.compile(r"\\(?:[\"\\/bfnrt]|u[0-9a-fA-F]{4})\Z")
_ESCAPE_BEGINS = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_SPACE = " \t\n\r"
_SCALAR_LETTERS = frozenset("-+.0123456789eEtrufalsn")


class JsonScanner:
    """Follows one JSON object or array, however its text is cut. For one thread.

    What comes out is the text that went in, but for control characters inside of strings: models
    write them, JSON forbids them, so they come out as escapes.
    """

    __slots__ = ("_closers", "_escape", "_in_string", "_is_key", "_scalar", "_want", "state")

    def __init__(self) -> None:
        self.state = "open"
        """``open``, ``complete`` or ``invalid``; the last two are final."""
        self._closers: list[str] = []
        # What may come next: value, first (value or end), key, name (key or end), colon, comma.
        self._want = "value"
        self._in_string = False
        self._is_key = False
        self._escape = ""
        self._scalar = ""

    def feed(self, text: str) -> tuple[str, str]:
        """Take in text.

        Returns:
            The JSON that it is, and the rest: what follows the end of the value, or from the first
            character on that no JSON can have here.
        """
        parts: list[str] = []
        at = 0
        while at < len(text) and self.state == "open":
            if self._in_string:
                at = self._string(text, at, parts)
            else:
                before = at
                at = self._structure(text, at)
                parts.append(text[before:at])
        return "".join(parts), text[at:]

    def _string(self, text: str, at: int, parts: list[str]) -> int:
        letter = text[at]
        if self._escape:
            # An escape is passed on whole, so that what came out of a cut text has no half of one.
            escape = self._escape + letter
            if _ESCAPE.match(escape):
                parts.append(escape)
                escape = ""
            elif not _ESCAPE_BEGINS.match(escape):
                self.state = "invalid"
                return at
            self._escape = escape
            return at + 1
        if plain := _PLAIN.match(text, at):
            parts.append(plain.group())
            return plain.end()
        if letter == "\\":
            self._escape = letter
            return at + 1
        if letter == '"':
            self._in_string = False
            self._want = "colon" if self._is_key else "comma"
        else:
            letter = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(letter, f"\\u{ord(letter):04x}")
        parts.append(letter)
        return at + 1

    def _structure(self, text: str, at: int) -> int:
        letter = text[at]
        if letter in _SCALAR_LETTERS and (self._scalar or self._want in {"value", "first"}):
            self._scalar += letter
            # A top-level scalar has no end that shows, and no scalar that a model means is long.
            if not self._closers or len(self._scalar) > 64:
                self.state = "invalid"
                return at
            return at + 1
        if self._scalar:
            if not _SCALAR.match(self._scalar):
                self.state = "invalid"
                return at
            self._scalar, self._want = "", "comma"
        if letter not in _SPACE and not self._step(letter):
            self.state = "invalid"
            return at
        return at + 1

    def _step(self, letter: str) -> bool:
        """Take one structural character; return whether it may come here."""
        want = self._want
        if letter == '"' and want in {"value", "first", "key", "name"} and self._closers:
            self._in_string, self._is_key = True, want in {"key", "name"}
        elif letter in "{[" and want in {"value", "first"}:
            self._closers.append("}" if letter == "{" else "]")
            self._want = "name" if letter == "{" else "first"
        elif letter in "}]" and want in {"comma", "name", "first"} and self._closers[-1] == letter:
            self._closers.pop()
            self._want = "comma"
            if not self._closers:
                self.state = "complete"
        elif letter == ":" and want == "colon":
            self._want = "value"
        elif letter == "," and want == "comma":
            self._want = "key" if self._closers[-1] == "}" else "value"
        else:
            return False
        return True
