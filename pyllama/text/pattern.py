"""Regular expressions of a JSON schema, rewritten so that llama-common's converter takes them.

The converter reads a small dialect, and what it cannot read it takes for "any string". It also puts
characters into a JSON string as they are, so a pattern that may match a quote, a backslash or a
control character would make text that is no JSON: those are kept out of its classes here.
"""

from __future__ import annotations

import re

import regex

MAX_CHARS = 500
MAX_REPEAT = 256

_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_"}
_PLAIN = re.compile(r"[A-Za-z0-9 _,:;@#%&!~'`=<>/\u00a0-\ud7ff\ue000-\U0010ffff-]")
# In a JSON string these stand for themselves only after a backslash.
_NO_JSON = r"\"\\\x00-\x1F\x7F"
# What does in between, as first and last characters.
_JSON_SPANS = ((0x20, 0x21), (0x23, 0x5B), (0x5D, 0x7E), (0x80, 0x10FFFF))
_SPAN = re.compile(r"(\\.|[^\\])-(\\.|[^\\])")
_ESCAPED = re.compile(r"[.^$|()\[\]{}*+?/,:;@#%&!~'`=<>_ -]")
_REPEAT = re.compile(r"\{(\d{1,4})(?:(,)(\d{0,4}))?\}")


def rewritten(pattern: str) -> str | None:
    """Return the pattern in the converter's dialect; None where it has no equivalent."""
    if len(pattern) > MAX_CHARS or not (pattern.startswith("^") and pattern.endswith("$")):
        return None
    return _Rewriter(pattern[1:-1]).run()


class _Rewriter:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def run(self) -> str | None:
        parts = ["^"]
        depth = 0
        while self._at < len(self._text):
            char = self._text[self._at]
            if char in "()":
                depth += 1 if char == "(" else -1
                part = self._group(char)
            else:
                part = self._part(char)
            if part is None or depth < 0:
                return None
            parts.append(part)
        # A bare alternative would end at the converter's own parentheses, as it should.
        return None if depth else "".join(parts) + "$"

    def _group(self, char: str) -> str | None:
        self._at += 1
        if char == "(" and self._text.startswith("?", self._at):
            if not self._text.startswith("?:", self._at):
                return None
            self._at += 2
        return char

    def _part(self, char: str) -> str | None:
        if char == "[":
            return self._range()
        if char == "\\":
            return self._escape()
        if char == "{" or char in "*+?":
            return self._repeat(char)
        self._at += 1
        if char == ".":
            return f"[^{_NO_JSON}]"
        if char == "|" or _PLAIN.match(char):
            return char
        return None

    def _escape(self) -> str | None:
        char = self._text[self._at + 1 : self._at + 2]
        self._at += 2
        if char in _CLASSES:
            return f"[{_CLASSES[char]}]"
        if not char or not _ESCAPED.match(char):
            return None
        return f"\\{char}" if char in ".^$|()[]{}*+?" else char

    def _repeat(self, char: str) -> str | None:
        if self._at == 0 or self._text[self._at - 1] in "(|":
            return None
        part: str = char
        if char == "{":
            match = _REPEAT.match(self._text, self._at)
            if match is None or max(int(match[1]), int(match[3] or 0)) > MAX_REPEAT:
                return None
            part = match[0]
        self._at += len(part)
        # A lazy or possessive repetition, or one of a repetition.
        if self._text[self._at : self._at + 1] in {"*", "+", "?", "{"}:
            return None
        return part

    def _range(self) -> str | None:
        end = self._at + 1
        negated = self._text.startswith("^", end)
        end += negated
        body = ""
        while end < len(self._text) and self._text[end] != "]":
            char = self._text[end]
            if char == "\\":
                char = self._text[end + 1 : end + 2]
                end += 1
                part = _CLASSES.get(char) or (f"\\{char}" if char in "]-[" and char else None)
                if part is None:
                    part = char if char and char in ".^$|(){}*+?/" else None
            else:
                part = char if char == "-" or _PLAIN.match(char) or char in ".$|(){}*+?^" else None
            if part is None:
                return None
            body += part
            end += 1
        if end >= len(self._text) or not body:
            return None
        self._at = end + 1
        if not negated:
            body = _SPAN.sub(_plain_spans, body)
        # What stands for itself here would make the class another one where it comes to stand.
        if body.startswith("^"):
            body = rf"\x5E{body[1:]}"
        if body.endswith("-") and not body.endswith(r"\-"):
            body = rf"{body[:-1]}\-"
        return f"[^{body}{_NO_JSON}]" if negated else f"[{body}]"


def _plain_spans(span: re.Match[str]) -> str:
    """Return the parts of a range that hold nothing that JSON would escape."""
    low, high = (ord(end[-1]) for end in span.groups())
    parts = [(max(low, first), min(high, last)) for first, last in _JSON_SPANS]
    parts = [(first, last) for first, last in parts if first <= last]
    if len(parts) <= 1:
        return span[0]
    return "".join(f"\\x{first:02X}-\\U{last:08X}" for first, last in parts)


_REPEATED_GROUP = re.compile(r"\)(?:[*+]|\{\d+,(?:\d{2,})?\})")
_LETTER = re.compile(r"[^\\.^$|()\[\]{}*+?]")
# Each is consumed, repeated or not, and so is a class that is never closed: none is read twice.
_ATOM = re.compile(r"(\[\^?\]?(?:\\.?|[^\]\\])*(?:\]|\Z)|\\.|.)([*+?{])?", re.DOTALL)


def may_explode(pattern: str) -> bool:
    """Whether matching may take time exponential in the text.

    Python's matcher backtracks through every way to divide a text among the rounds of a repeated
    group that holds a repetition or a choice. There is one way only where each round, or each
    choice, begins with a letter of its own: such groups are taken.
    """
    opened: list[tuple[int, bool]] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            at += 1
        elif char == "[":
            at = _class_end(pattern, at)
        elif char == "(":
            opened.append((at + 1, False))
        elif char == ")" and opened:
            start, is_wide = opened.pop()
            is_repeated = _REPEATED_GROUP.match(pattern, at) is not None
            if is_wide and is_repeated and not _has_one_way(pattern[start:at].removeprefix("?:")):
                return True
            if opened and (is_wide or is_repeated):
                opened[-1] = (opened[-1][0], True)
        elif char in "*+|{" and opened:
            opened[-1] = (opened[-1][0], True)
        at += 1
    return False


def _has_one_way(body: str) -> bool:
    """Whether the rounds of a repeated group can be told from each other by their first letters."""
    if "(" in body:
        return False
    choices = body.split("|")
    firsts = {choice[:1] for choice in choices}
    if len(firsts) < len(choices) or not all(_LETTER.match(choice) for choice in choices):
        return False
    if any(choice[1:2] and choice[1] in "*+?{" for choice in choices):
        return False
    if len(choices) > 1:
        return not re.search(r"[*+?{]", body)
    # What is repeated within the round must not run into the next one.
    atoms = {match[1] for match in _ATOM.finditer(body, 1) if match[2]}
    try:
        return not any(regex.fullmatch(atom, body[0]) for atom in atoms)
    except regex.error:
        return False


def _class_end(pattern: str, at: int) -> int:
    """Return where the last character of a class is."""
    at += 2 if pattern.startswith("^", at + 1) else 1
    if pattern.startswith("]", at):
        at += 1
    while at < len(pattern) and pattern[at] != "]":
        at += 2 if pattern[at] == "\\" else 1
    return at
