"""A message as its parts become certain: what was given out is never taken back."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyllama.results import ToolCallDelta
from pyllama.text.json_scan import JsonScanner
from pyllama.text.output import OutputDelta

if TYPE_CHECKING:
    from pyllama._ext.chat_parser import ParsedMessage

# OpenAI's ids have at most 64 characters in the clients' own checks.
_MAX_ID_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call as the parser sees it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """What the parser makes of a text."""

    content: str = ""
    reasoning: str = ""
    calls: tuple[Call, ...] = ()

    @classmethod
    def of(cls, parsed: ParsedMessage) -> Message:
        """Take over what the parser returned."""
        calls = [Call(call["id"], call["name"], call["arguments"]) for call in parsed["tool_calls"]]
        return cls(parsed["content"], parsed["reasoning"], tuple(calls))

    @property
    def arguments(self) -> str:
        """The arguments of the last call; empty where there is none."""
        return self.calls[-1].arguments if self.calls else ""

    def extended(self, field: str, text: str) -> Message:
        """Return this message with more text in one field, its last call's ``arguments`` too."""
        if field == "content":
            return Message(self.content + text, self.reasoning, self.calls)
        if field == "reasoning":
            return Message(self.content, self.reasoning + text, self.calls)
        last = self.calls[-1]
        last = Call(last.id, last.name, last.arguments + text)
        return Message(self.content, self.reasoning, (*self.calls[:-1], last))


class Ledger:
    """What has been given out of an answer, and what is about to be. For one thread."""

    def __init__(self) -> None:
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[list[str]] = []
        self._ids: set[str] = set()
        self._scanners: list[JsonScanner] = []
        self._new: tuple[list[str], list[str], list[ToolCallDelta]] = ([], [], [])

    @property
    def n_calls(self) -> int:
        """Calls given out."""
        return len(self._calls)

    @property
    def arguments_state(self) -> str:
        """State of the last call's arguments: ``open``, ``complete`` or ``invalid``."""
        return self._scanners[-1].state

    def add(self, field: str, text: str) -> None:
        """Give out text of a field; ``arguments`` are those of the last call."""
        if not text:
            return
        if field == "content":
            self._content.append(text)
            self._new[0].append(text)
        elif field == "reasoning":
            self._reasoning.append(text)
            self._new[1].append(text)
        else:
            self.add_arguments(len(self._calls) - 1, text)

    def add_call(self, call: Call) -> None:
        """Give out a new call by its name; its arguments follow."""
        wanted = call.id
        if not wanted or wanted in self._ids or len(wanted) > _MAX_ID_LENGTH:
            wanted = f"call_{secrets.token_hex(16)}"
        self._ids.add(wanted)
        index = len(self._calls)
        self._calls.append([])
        self._scanners.append(JsonScanner())
        self._new[2].append(ToolCallDelta(index=index, id=wanted, name=call.name, arguments=""))

    def add_arguments(self, index: int, text: str) -> str:
        """Give out more of a call's arguments; return what is not JSON of them any more."""
        taken, rest = self._scanners[index].feed(text)
        if taken:
            self._calls[index].append(taken)
            self._new[2].append(ToolCallDelta(index=index, id="", name="", arguments=taken))
        return rest

    def add_difference(self, before: Message, after: Message) -> Message:
        """Give out what a message has more than an earlier one had.

        White space at the end waits: before a tool call it is often no content after all.

        Returns:
            What has been given out now: a field that was changed stays as it was.
        """
        is_calling = len(after.calls) > len(before.calls)
        has_content = is_calling or after.content
        content = _grown(before.content, after.content if is_calling else after.content.rstrip())
        reasoning = _grown(
            before.reasoning, after.reasoning if has_content else after.reasoning.rstrip()
        )
        self.add("reasoning", reasoning[len(before.reasoning) :])
        self.add("content", content[len(before.content) :])
        calls = list(before.calls)
        for index, call in enumerate(after.calls):
            if index < len(calls):
                arguments = _grown(calls[index].arguments, call.arguments)
                self.add_arguments(index, arguments[len(calls[index].arguments) :])
                calls[index] = Call(calls[index].id, calls[index].name, arguments)
            elif call.name:
                self.add_call(call)
                self.add_arguments(index, call.arguments)
                calls.append(call)
            else:
                break
        return Message(content, reasoning, tuple(calls))

    def add_rest(self, before: Message, whole: Message) -> str:
        """Give out what is missing to a whole message; return the text of that.

        Args:
            before: what the message had before the answer began.
            whole: the message with the whole answer.
        """
        content = before.content + "".join(self._content)
        reasoning = before.reasoning + "".join(self._reasoning)
        new_reasoning = _grown(reasoning, whole.reasoning)[len(reasoning) :]
        new_content = _grown(content, whole.content)[len(content) :]
        self.add("reasoning", new_reasoning)
        self.add("content", new_content)
        new = new_reasoning + new_content
        for index, call in enumerate(whole.calls):
            if index >= len(self._calls):
                if not call.name:
                    break
                self.add_call(call)
            given = "".join(self._calls[index])
            taken, rest = JsonScanner().feed(call.arguments)
            arguments = _grown(given, taken + rest)
            self.add_arguments(index, arguments[len(given) :])
            new += arguments[len(given) :]
        return new

    def take(self) -> OutputDelta:
        """Return what is new since the last time."""
        content, reasoning, calls = self._new
        if not (content or reasoning or calls):
            return OutputDelta()
        self._new = ([], [], [])
        return OutputDelta(
            content="".join(content), reasoning="".join(reasoning), tool_calls=_merged(calls)
        )


def _grown(before: str, after: str) -> str:
    return after if after.startswith(before) else before


def _merged(pieces: list[ToolCallDelta]) -> tuple[ToolCallDelta, ...]:
    """Join pieces that continue the same call, so that a call opens with what is known of it."""
    merged: list[ToolCallDelta] = []
    for piece in pieces:
        if merged and merged[-1].index == piece.index and not piece.name:
            last = merged.pop()
            arguments = last.arguments + piece.arguments
            merged.append(
                ToolCallDelta(index=last.index, id=last.id, name=last.name, arguments=arguments)
            )
        else:
            merged.append(piece)
    return tuple(merged)
