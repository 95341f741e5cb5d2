"""An answer put together from its deltas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyllama.results import Delta, ToolCall

if TYPE_CHECKING:
    from pyllama.results import FinishReason, TokenLogprobs, ToolCallDelta
    from pyllama.text.output import OutputDelta


class Answer:
    """Gathers what was read, and gives out what is new since the last time. For one thread."""

    def __init__(self) -> None:
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self._calls: list[tuple[str, str, list[str]]] = []
        self._logprobs: list[TokenLogprobs] = []
        # How much of each list the deltas given out so far had.
        self._n_given = [0, 0, 0]
        self._new_calls: list[ToolCallDelta] = []

    def add(self, piece: OutputDelta) -> None:
        """Take in what became certain."""
        if piece.content:
            self._content.append(piece.content)
        if piece.reasoning:
            self._reasoning.append(piece.reasoning)
        for call in piece.tool_calls:
            if call.index == len(self._calls):
                self._calls.append((call.id, call.name, []))
            self._calls[call.index][2].append(call.arguments)
            self._new_calls.append(call)

    def add_logprobs(self, logprobs: TokenLogprobs) -> None:
        """Take in how likely a token was."""
        self._logprobs.append(logprobs)

    def take(self, n_tokens: int, finish_reason: FinishReason | None) -> Delta | None:
        """Return what is new, or None where nothing is and the answer goes on."""
        n_content, n_reasoning, n_logprobs = self._n_given
        delta = Delta(
            text="".join(self._content[n_content:]),
            n_tokens=n_tokens,
            finish_reason=finish_reason,
            reasoning="".join(self._reasoning[n_reasoning:]),
            tool_calls=tuple(self._new_calls),
            logprobs=tuple(self._logprobs[n_logprobs:]),
        )
        # Log probabilities wait for the text of their token, which may be held back.
        if not (delta.text or delta.reasoning or delta.tool_calls or finish_reason):
            return None
        self._n_given = [len(self._content), len(self._reasoning), len(self._logprobs)]
        self._new_calls = []
        return delta

    @property
    def text(self) -> str:
        """The content so far."""
        return "".join(self._content)

    @property
    def reasoning(self) -> str:
        """The reasoning so far."""
        return "".join(self._reasoning)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls so far."""
        return tuple(
            ToolCall(id=call_id, name=name, arguments="".join(parts))
            for call_id, name, parts in self._calls
        )

    @property
    def logprobs(self) -> tuple[TokenLogprobs, ...]:
        """One for each token so far, where they were asked for."""
        return tuple(self._logprobs)
