"""One answer, shown as it is made, until it ends or somebody has enough of it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyllama.cli.interrupt import Interrupt
    from pyllama.generation import Generation
    from pyllama.results import FinishReason, Timings, Usage

# Seconds after which a silent answer looks whether it is still wanted.
_PATIENCE_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was said."""

    text: str
    reasoning: str
    finish_reason: FinishReason | None
    """None: it was stopped."""
    usage: Usage
    timings: Timings

    @property
    def stats(self) -> str:
        """The counts and durations of the answer, as one line."""
        usage, timings = self.usage, self.timings
        figures = timings.as_dict()
        return (
            f"{usage.completion_tokens} tokens at {figures['predicted_per_second']:.1f}/s; "
            f"prompt {usage.prompt_tokens} ({usage.cached_tokens} cached) at "
            f"{figures['prompt_per_second']:.1f}/s; "
            f"first token after {(timings.queue_ms + timings.prompt_ms) / 1e3:.2f} s; "
            f"{self.finish_reason or 'stopped'}"
        )


def show(
    generation: Generation,
    interrupt: Interrupt,
    *,
    text: Callable[[str], None],
    reasoning: Callable[[str], None],
) -> Answer:
    """Show an answer to its end; return it.

    Args:
        generation: the answer in the making; closed at the end.
        interrupt: stops it; what was shown until then is what is returned.
        text: takes the next piece of the answer itself.
        reasoning: takes the next piece of the thoughts before it.

    Raises:
        PyllamaError: it failed.
    """
    texts: list[str] = []
    thoughts: list[str] = []
    finish_reason: FinishReason | None = None
    with contextlib.closing(generation):
        while finish_reason is None and not interrupt.is_set:
            delta = generation.poll(_PATIENCE_S)
            if delta is None:
                continue
            thoughts.append(delta.reasoning)
            reasoning(delta.reasoning)
            texts.append(delta.text)
            text(delta.text)
            finish_reason = delta.finish_reason
    return Answer(
        text="".join(texts),
        reasoning="".join(thoughts),
        finish_reason=finish_reason,
        usage=generation.usage,
        timings=generation.timings,
    )
