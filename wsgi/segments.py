"""An answer as a row of segments, for dialects that tell its parts apart as blocks or items."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from pyllama.results import Delta, TokenLogprobs, ToolCallDelta

Kind = Literal["reasoning", "text", "call"]


@dataclass(slots=True, kw_only=True)
class Segment:
    """A part of an answer that is all of one kind."""

    kind: Kind
    index: int
    """Its place among the answer's segments, from 0."""
    id: str = ""
    """The id of a call; a dialect may give one to the other kinds."""
    name: str = ""
    """The function of a call."""
    pieces: list[str] = field(default_factory=list)
    logprobs: list[TokenLogprobs] = field(default_factory=list)
    is_open: bool = True
    is_cut: bool = False
    """Whether the answer reached its limit here."""

    @property
    def text(self) -> str:
        """All of it so far: reasoning, text, or the arguments of a call."""
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Opened:
    """A segment began; it is empty."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class Grown:
    """A segment got longer."""

    segment: Segment
    piece: str
    logprobs: tuple[TokenLogprobs, ...] = ()


@dataclass(frozen=True, slots=True)
class Closed:
    """A segment is whole."""

    segment: Segment


Change = Opened | Grown | Closed


class Segments:
    """Cuts the deltas of one answer into segments, one of them open at a time. For one thread."""

    def __init__(self) -> None:
        self.all: list[Segment] = []
        """Every segment so far, in the order of their beginnings."""
        self._calls: dict[int, Segment] = {}

    def take(self, delta: Delta) -> Iterator[Change]:
        """Yield what a delta changes; the last delta closes the last segment."""
        # A delta may hold the end of one segment and the start of the next: what continues the
        # open one comes first.
        kinds: list[Kind] = ["reasoning", "text", "call"]
        kinds.sort(key=lambda kind: self._open is None or self._open.kind != kind)
        for kind in kinds:
            if kind == "call":
                for piece in delta.tool_calls:
                    yield from self._take_call(piece)
            elif text := delta.reasoning if kind == "reasoning" else delta.text:
                segment = yield from self._opened(kind)
                segment.pieces.append(text)
                logprobs = delta.logprobs if kind == "text" else ()
                segment.logprobs.extend(logprobs)
                yield Grown(segment, text, logprobs)
        last = self._open
        if delta.logprobs and not delta.text and last is not None and last.kind == "text":
            # A token that ends the answer is likely or not, though it has no text.
            last.logprobs.extend(delta.logprobs)
            yield Grown(last, "", delta.logprobs)
        if delta.finish_reason is not None:
            yield from self._close(is_cut=delta.finish_reason == "length")

    @property
    def _open(self) -> Segment | None:
        return self.all[-1] if self.all and self.all[-1].is_open else None

    def _take_call(self, piece: ToolCallDelta) -> Iterator[Change]:
        segment = self._calls.get(piece.index)
        if segment is None:
            yield from self._close()
            segment = Segment(kind="call", index=len(self.all), id=piece.id, name=piece.name)
            self._calls[piece.index] = segment
            self.all.append(segment)
            yield Opened(segment)
        if piece.arguments:
            segment.pieces.append(piece.arguments)
            yield Grown(segment, piece.arguments)

    def _opened(self, kind: Kind) -> Generator[Change, None, Segment]:
        segment = self._open
        if segment is None or segment.kind != kind:
            yield from self._close()
            segment = Segment(kind=kind, index=len(self.all))
            self.all.append(segment)
            yield Opened(segment)
        return segment

    def _close(self, *, is_cut: bool = False) -> Iterator[Change]:
        segment = self._open
        if segment is not None:
            segment.is_open, segment.is_cut = False, is_cut
            yield Closed(segment)
