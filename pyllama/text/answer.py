"""An answer put together from what was read of it: its parts, in their order."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pyllama.results import (
    AnswerPart,
    Delta,
    PartClosed,
    PartGrown,
    PartOpened,
    ToolCall,
)

if TYPE_CHECKING:
    from pyllama.results import FinishReason, PartChange, PartKind, TokenLogprobs, ToolCallDelta
    from pyllama.text.output import OutputDelta


class _Part:
    """A part in the making."""

    __slots__ = ("head", "is_cut", "is_open", "kind", "logprobs", "pieces")

    def __init__(self, kind: PartKind, index: int, call_id: str, name: str) -> None:
        self.head = AnswerPart(kind=kind, index=index, id=call_id, name=name, is_whole=False)
        self.kind = kind
        self.pieces: list[str] = []
        self.logprobs: list[TokenLogprobs] = []
        self.is_open = True
        self.is_cut = False

    def made(self) -> AnswerPart:
        """Return what there is of it."""
        return replace(
            self.head,
            text="".join(self.pieces),
            logprobs=tuple(self.logprobs),
            is_whole=not (self.is_open or self.is_cut),
        )


class Answer:
    """Gathers what was read, and gives out what is new since the last time. For one thread."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._open: _Part | None = None  # the last of them, unless it has ended
        self._calls: list[_Part] = []
        self._logprobs: list[TokenLogprobs] = []
        self._n_given = 0  # log probabilities that a delta had
        # What is new: a part that began or ended, or one that grew by some pieces.
        self._new: list[tuple[type[PartOpened | PartClosed], _Part] | tuple[list[str], _Part]] = []
        self._new_calls: list[ToolCallDelta] = []

    def add(self, piece: OutputDelta) -> None:
        """Take in what became certain."""
        # PERF: nearly every piece is of one kind, and there is one for each token.
        if not (piece.reasoning or piece.tool_calls):
            self._say("text", piece.content)
        elif not (piece.content or piece.tool_calls):
            self._say("reasoning", piece.reasoning)
        else:
            self._add_each(piece)

    def add_logprobs(self, logprobs: TokenLogprobs) -> None:
        """Take in how likely a token was."""
        self._logprobs.append(logprobs)

    def take(self, n_tokens: int, finish_reason: FinishReason | None) -> Delta | None:
        """Return what is new, or None where nothing is and the answer goes on."""
        # Log probabilities wait for the text of their token, which may be held back.
        if not (self._new or self._new_calls or finish_reason):
            return None
        logprobs = tuple(self._logprobs[self._n_given :])
        if logprobs:
            self._n_given = len(self._logprobs)
            self._place(logprobs)
        if finish_reason is not None:
            self._end(is_cut=finish_reason == "length")
        changes = self._changes(logprobs)
        delta = Delta(
            text=_grown(changes, "text"),
            n_tokens=n_tokens,
            finish_reason=finish_reason,
            reasoning=_grown(changes, "reasoning"),
            tool_calls=tuple(self._new_calls),
            logprobs=logprobs,
            changes=tuple(changes),
        )
        self._new, self._new_calls = [], []
        return delta

    @property
    def parts(self) -> tuple[AnswerPart, ...]:
        """Its parts so far."""
        return tuple(part.made() for part in self._parts)

    @property
    def text(self) -> str:
        """The content so far."""
        return self._text("text")

    @property
    def reasoning(self) -> str:
        """The reasoning so far."""
        return self._text("reasoning")

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls so far."""
        return tuple(
            ToolCall(id=call.head.id, name=call.head.name, arguments="".join(call.pieces))
            for call in self._calls
        )

    @property
    def logprobs(self) -> tuple[TokenLogprobs, ...]:
        """One for each token so far, where they were asked for."""
        return tuple(self._logprobs)

    # ---- its parts ------------------------------------------------------------------------------

    def _add_each(self, piece: OutputDelta) -> None:
        """Take in what may be the end of one part and the start of others."""
        kinds: list[PartKind] = ["reasoning", "text", "call"]
        if self._open is not None:
            # What goes on with the open one comes first.
            kinds.sort(key=self._open.kind.__ne__)
        for kind in kinds:
            if kind == "call":
                for call in piece.tool_calls:
                    self._add_call(call)
            else:
                self._say(kind, piece.reasoning if kind == "reasoning" else piece.content)

    def _say(self, kind: PartKind, text: str) -> None:
        if text:
            part = self._open
            if part is None or part.kind != kind:
                part = self._begin(kind)
            self._grow(part, text)

    def _begin(self, kind: PartKind, call_id: str = "", name: str = "") -> _Part:
        self._end()
        part = _Part(kind, len(self._parts), call_id, name)
        self._parts.append(part)
        self._open = part
        self._new.append((PartOpened, part))
        return part

    def _end(self, *, is_cut: bool = False) -> None:
        if (part := self._open) is not None:
            self._open = None
            part.is_open, part.is_cut = False, is_cut
            self._new.append((PartClosed, part))

    def _grow(self, part: _Part, text: str) -> None:
        part.pieces.append(text)
        last, grown = self._new[-1] if self._new else (None, None)
        if grown is part and isinstance(last, list):
            last.append(text)
        else:
            self._new.append(([text], part))

    def _add_call(self, call: ToolCallDelta) -> None:
        self._new_calls.append(call)
        if call.index == len(self._calls):
            self._calls.append(self._begin("call", call.id, call.name))
        if call.arguments:
            self._grow(self._calls[call.index], call.arguments)

    # ---- what is new ----------------------------------------------------------------------------

    def _place(self, logprobs: tuple[TokenLogprobs, ...]) -> None:
        """Give log probabilities to the text that is new, else to the one that is open."""
        for pieces, part in self._new:
            if isinstance(pieces, list) and part.kind == "text":
                part.logprobs.extend(logprobs)
                return
        if (last := self._open) is not None and last.kind == "text":
            # A token that ends the answer is likely or not, though it has no text.
            last.logprobs.extend(logprobs)
            self._new.append(([], last))

    def _changes(self, logprobs: tuple[TokenLogprobs, ...]) -> list[PartChange]:
        changes: list[PartChange] = []
        for what, part in self._new:
            if not isinstance(what, list):
                changes.append(what(part.head if what is PartOpened else part.made()))
            elif part.kind == "text":
                changes.append(PartGrown(part.head, "".join(what), logprobs))
                logprobs = ()
            else:
                changes.append(PartGrown(part.head, "".join(what)))
        return changes

    def _text(self, kind: PartKind) -> str:
        return "".join(piece for part in self._parts if part.kind == kind for piece in part.pieces)


def _grown(changes: list[PartChange], kind: PartKind) -> str:
    texts = [
        change.text
        for change in changes
        if isinstance(change, PartGrown) and change.part.kind == kind
    ]
    return texts[0] if len(texts) == 1 else "".join(texts)
