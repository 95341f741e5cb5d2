"""From the tokens of one answer to what its reader sees of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pyllama.text.output import OutputDelta
from pyllama.text.reasoning_count import ReasoningCount

if TYPE_CHECKING:
    from pyllama.text.detokenizer import Detokenizer
    from pyllama.text.stop import StopMatcher


class OutputParser(Protocol):
    """Tells content, reasoning and tool calls apart, as the text comes."""

    has_tool_calls: bool
    """Whether a call has been reported."""

    def feed(self, text: str) -> OutputDelta:
        """Take in text; return what became certain."""

    def finish(self, *, is_cut: bool) -> OutputDelta:
        """Take in the end of the text; return what was held back.

        Args:
            is_cut: the answer did not end by itself, so nothing is checked.

        Raises:
            InvalidResponse: the answer is not what was asked for.
        """


class AnswerReader:
    """Detokenises, looks for stop strings, and has the rest parsed. For one thread.

    Args:
        detokenizer: of this answer.
        stops: of this answer.
        parser: of this answer; None takes all text as content.
    """

    __slots__ = ("_detokenizer", "_parser", "_reasoning", "_stops")

    def __init__(
        self, detokenizer: Detokenizer, stops: StopMatcher, parser: OutputParser | None = None
    ) -> None:
        self._detokenizer = detokenizer
        self._stops = stops
        self._parser = parser
        self._reasoning = ReasoningCount()

    @property
    def n_reasoning_tokens(self) -> int:
        """Tokens whose text became reasoning, so far."""
        return self._reasoning.n_tokens

    @property
    def is_stopped(self) -> bool:
        """Whether a stop string has occurred."""
        return self._stops.matched is not None

    @property
    def stop_sequence(self) -> str | None:
        """The stop string that has occurred."""
        return self._stops.matched

    @property
    def has_tool_calls(self) -> bool:
        """Whether a tool call has been reported."""
        return self._parser is not None and self._parser.has_tool_calls

    def feed(self, token: int) -> OutputDelta:
        """Return what becomes certain with one more token."""
        text = self._detokenizer.feed((token,))
        if self._parser is not None:
            is_partial = not text and self._detokenizer.is_partial
            self._reasoning.take(text, is_partial=is_partial)
        return self._parse(self._stops.feed(text))

    def finish(self, *, is_cut: bool) -> tuple[OutputDelta, ...]:
        """Return what was held back. Raises InvalidResponse."""
        held = self._parse(self._stops.flush())
        if self._parser is None:
            return (held,)
        last = self._parser.finish(is_cut=is_cut)
        self._reasoning.tell(last)
        return held, last

    def _parse(self, text: str) -> OutputDelta:
        if self._parser is None:
            return OutputDelta(content=text)
        delta = self._parser.feed(text)
        self._reasoning.tell(delta)
        return delta
