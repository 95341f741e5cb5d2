"""An answer put together from what was read of it: its parts, in their order."""

from __future__ import annotations

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
    from collections.abc import Iterator

    from pyllama.results import FinishReason, PartChange, PartKind, TokenLogprobs, ToolCallDelta
    from pyllama.text.output import OutputDelta


class _Part:
    """A part in the making."""

    __slots__ = ("head", "is_cut", "is_open", "logprobs", "pieces")

    def __init__(self, kind: PartKind, index: int, call_id: str, name: str) -> None:
        self.head = AnswerPart(kind=kind, index=index, id=call_id, name=name, is_whole=False)
        self.pieces: list[str] = []
        self.logprobs: list[TokenLogprobs] = []
        self.is_open = True
        self.is_cut = False

    def made(self) -> AnswerPart:
        """Return what there is of it."""
        head = self.head
        return AnswerPart(
            kind=head.kind,
            index=head.index,
            text="".join(self.pieces),
            id=head.id,
            name=head.name,
            logprobs=tuple(self.logprobs),
            is_whole=not (self.is_open or self.is_cut),
        )


class Answer:
    """Gathers what was read, and gives out what is new since the last time. For one thread."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._calls: list[_Part] = []
        self._logprobs: list[TokenLogprobs] = []
        self._n_given = 0  # log probabilities that a delta had
        # What is new: a part that began or ended, or one that grew by some pieces.
        self._new: list[tuple[type[PartOpened | PartClosed], _Part] | tuple[list[str], _Part]] = []
        self._new_calls: list[ToolCallDelta] = []

    def add(self, piece: OutputDelta) -> None:
        """Take in what became certain."""
        # A piece may hold the end of one part and the start of the next: what goes on with the open
        # one comes first.
        kinds: list[PartKind] = ["reasoning", "text", "call"]
        if (part := self._open) is not None:
            kinds.sort(key=lambda kind: part.head.kind != kind)
        for kind in kinds:
            if kind == "call":
                for call in piece.tool_calls:
                    self._add_call(call)
            elif text := piece.reasoning if kind == "reasoning" else piece.content:
                part = self._open
                if part is None or part.head.kind != kind:
                    part = self._begin(kind)
                self._grow(part, text)

    def add_logprobs(self, logprobs: TokenLogprobs) -> None:
        """Take in how likely a token was."""
        self._logprobs.append(logprobs)

    def take(self, n_tokens: int, finish_reason: FinishReason | None) -> Delta | None:
        """Return what is new, or None where nothing is and the answer goes on."""
        # Log probabilities wait for the text of their token, which may be held back.
        if not (self._new or self._new_calls or finish_reason):
            return None
        logprobs = tuple(self._logprobs[self._n_given :])
        self._n_given = len(self._logprobs)
        self._place(logprobs)
        if finish_reason is not None:
            self._end(is_cut=finish_reason == "length")
        delta = Delta(
            text=self._new_text("text"),
            n_tokens=n_tokens,
            finish_reason=finish_reason,
            reasoning=self._new_text("reasoning"),
            tool_calls=tuple(self._new_calls),
            logprobs=logprobs,
            changes=tuple(self._changes(logprobs)),
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

    @property
    def _open(self) -> _Part | None:
        return self._parts[-1] if self._parts and self._parts[-1].is_open else None

    def _begin(self, kind: PartKind, call_id: str = "", name: str = "") -> _Part:
        self._end()
        part = _Part(kind, len(self._parts), call_id, name)
        self._parts.append(part)
        self._new.append((PartOpened, part))
        return part

    def _end(self, *, is_cut: bool = False) -> None:
        if (part := self._open) is not None:
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
        if not logprobs:
            return
        for pieces, part in self._new:
            if isinstance(pieces, list) and part.head.kind == "text":
                part.logprobs.extend(logprobs)
                return
        if (last := self._open) is not None and last.head.kind == "text":
            # A token that ends the answer is likely or not, though it has no text.
            last.logprobs.extend(logprobs)
            self._new.append(([], last))

    def _changes(self, logprobs: tuple[TokenLogprobs, ...]) -> Iterator[PartChange]:
        for what, part in self._new:
            if isinstance(what, list):
                is_text = part.head.kind == "text"
                yield PartGrown(part.head, "".join(what), logprobs if is_text else ())
                logprobs = () if is_text else logprobs
            else:
                yield what(part.head if what is PartOpened else part.made())

    def _new_text(self, kind: PartKind) -> str:
        return "".join(
            piece
            for pieces, part in self._new
            if isinstance(pieces, list) and part.head.kind == kind
            for piece in pieces
        )

    def _text(self, kind: PartKind) -> str:
        return "".join(
            piece for part in self._parts if part.head.kind == kind for piece in part.pieces
        )
