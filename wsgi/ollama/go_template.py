"""The part of Go's templates that Ollama's templates of texts are written in.

Words to put in, and conditions on whether one is empty. What else Go has, such as loops, functions
and pipelines, is refused by name: a template is a request's, and must end.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pyllama.errors import InvalidRequest
from pyllama.interruption import checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"(?:if\s+|else\s+if\s+)?\.(\w+)")
_COMMENT = re.compile(r"/\*.*\*/", re.DOTALL)
_MAX_ECHO = 60
_MAX_DEPTH = 64
MAX_CHARS = 16 * 1024 * 1024
"""Longest text that a template may make: it may name a long prompt many times."""
# Where the answer stands: what comes after it is no part of the prompt.
_ANSWER = "Response"


class _Branches:
    """One ``if`` with what follows it: at most one of its branches is written."""

    def __init__(self, *, is_written: bool, may_write: bool) -> None:
        self.is_written = is_written
        self.may_write = may_write
        """Whether a later branch may still be written."""
        self.has_else = False


def render(template: str, words: Mapping[str, str]) -> str:
    """Return a template with its words put in.

    Args:
        template: its source.
        words: what ``.Name`` stands for; ``.Response`` is empty, and ends the text.

    Raises:
        InvalidRequest: the template has something that is not understood here.
    """
    return _Rendering(words).render(template)


class _Rendering:
    """The state of one pass over a template."""

    def __init__(self, words: Mapping[str, str]) -> None:
        self._words = {**words, _ANSWER: ""}
        self._open: list[_Branches] = []
        self._parts: list[str] = []
        self._n_chars = 0
        self._is_over = False

    def render(self, template: str) -> str:
        position = 0
        while (start := template.find("{{", position)) >= 0:
            checkpoint()
            end = template.find("}}", start)
            if end < 0:
                raise _refusal(template[start:])
            text, action = template[position:start], template[start + 2 : end]
            position = end + 2
            # A dash takes away the space on its side.
            if action[:1] == "-" and action[1:2].isspace():
                text, action = text.rstrip(), action[1:]
            if action[-1:] == "-" and action[-2:-1].isspace():
                space = _SPACE.match(template, position)
                position = space.end() if space else position
                action = action[:-1]
            self._write(text)
            self._act(action.strip())
        self._write(template[position:])
        if self._open:
            raise InvalidRequest("template has an if without an end", param="template")
        return "".join(self._parts)

    @property
    def _is_written(self) -> bool:
        return not self._is_over and all(branches.is_written for branches in self._open)

    def _write(self, text: str) -> None:
        if self._is_written:
            self._n_chars += len(text)
            if self._n_chars > MAX_CHARS:
                raise InvalidRequest(
                    f"template makes a text of more than {MAX_CHARS} characters", param="template"
                )
            self._parts.append(text)

    def _act(self, action: str) -> None:
        word = _WORD.fullmatch(action)
        if word is not None:
            self._act_on(action, self._word(word[1], action))
        elif action in {"else", "end"}:
            self._turn(action)
        elif not _COMMENT.fullmatch(action):
            raise _refusal(action)

    def _act_on(self, action: str, value: str) -> None:
        if action.startswith("if"):
            if len(self._open) >= _MAX_DEPTH:
                raise InvalidRequest("template is nested too deeply", param="template")
            self._open.append(_Branches(is_written=bool(value), may_write=not value))
        elif action.startswith("else"):
            self._turn("else", is_true=bool(value), is_last=False)
        else:
            self._write(value)
            self._is_over = self._is_over or (action == f".{_ANSWER}" and self._is_written)

    def _turn(self, action: str, *, is_true: bool = True, is_last: bool = True) -> None:
        """End a condition, or go on to its next branch."""
        if not self._open or (action == "else" and self._open[-1].has_else):
            raise _refusal(action)
        if action == "end":
            self._open.pop()
            return
        branches = self._open[-1]
        branches.is_written = branches.may_write and is_true
        branches.may_write = branches.may_write and not is_true
        branches.has_else = is_last

    def _word(self, name: str, action: str) -> str:
        if name not in self._words:
            raise _refusal(action)
        return self._words[name]


def _refusal(action: str) -> InvalidRequest:
    return InvalidRequest(
        f"template has {action[:_MAX_ECHO]!r}, which is not understood here; use .System, .Prompt, "
        ".Suffix, .Response, if, else and end, or send raw",
        param="template",
    )
