"""How many of an answer's tokens are reasoning, counted as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyllama.text.output import OutputDelta


class ReasoningCount:
    """Counts the tokens whose text, or a part of it, became reasoning. For one thread.

    A token's text may become certain much later than the token comes, and what marks the reasoning
    never does: so the texts of tokens wait until something is told that was made of them.
    """

    __slots__ = ("_is_inside", "_n_silent", "_waiting", "n_tokens")

    def __init__(self) -> None:
        self.n_tokens = 0
        """Tokens of reasoning so far."""
        # Each text, and how many tokens it is of that were not counted yet.
        self._waiting: list[tuple[str, int]] = []
        self._n_silent = 0
        self._is_inside = False  # whether reasoning was told last

    def take(self, text: str, *, is_partial: bool) -> None:
        """Take in a token's text.

        Args:
            text: what it completes.
            is_partial: whether it holds a part of a character, which a later one completes.
        """
        if text:
            self._waiting.append((text, 1 + self._n_silent))
            self._n_silent = 0
        elif is_partial:
            self._n_silent += 1

    def tell(self, delta: OutputDelta) -> None:
        """Take in what became certain of the texts so far."""
        is_whole = not (delta.content or delta.tool_calls)
        if len(self._waiting) == 1 and self._waiting[0][0] == delta.reasoning + delta.content:
            # PERF: nearly every token's text is told at once, and is of one kind.
            _, n_tokens = self._waiting.pop()
            self.n_tokens += n_tokens if delta.reasoning else 0
            self._is_inside = is_whole
        elif delta.reasoning:
            start, end = self._place(delta.reasoning, is_last=is_whole)
            self.n_tokens += self._pass(start, end, is_reasoning=True)
            self._is_inside = is_whole
        elif delta.content or delta.tool_calls:
            # Arguments may be written otherwise than they came.
            start, end = self._place(delta.content, is_last=not delta.tool_calls)
            self._pass(start, end, is_reasoning=False)
            self._is_inside = False

    def _place(self, told: str, *, is_last: bool) -> tuple[int, int]:
        """Return where something that was told stands in the texts that wait.

        Args:
            told: what became certain.
            is_last: whether nothing became certain after it.
        """
        waiting = "".join([text for text, _ in self._waiting])
        start = waiting.find(told) if told else -1
        # Reasoning goes on where it was; before it begins, and before content, there are marks.
        if is_last and not (self._is_inside and start == 0) and waiting.endswith(told):
            start = len(waiting) - len(told)
        # What was written otherwise than it came is all that there is.
        return (0, len(waiting)) if start < 0 else (start, start + len(told))

    def _pass(self, start: int, end: int, *, is_reasoning: bool) -> int:
        """Let go of the texts up to an end; return how many tokens there are from the start on."""
        kept: list[tuple[str, int]] = []
        n_tokens = first = 0
        for text, n in self._waiting:
            last = first + len(text)
            is_within = first < end and last > start
            if is_within:
                n_tokens += n
            if last > end:
                rest = text[max(end - first, 0) :]
                # No token counts twice.
                kept.append((rest, 0 if is_within and is_reasoning else n))
            first = last
        self._waiting = kept
        return n_tokens
