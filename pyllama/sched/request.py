"""What one client asked for, as the scheduler sees it: immutable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest

if TYPE_CHECKING:
    from pyllama.sched.media import MediaSpan


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """One prompt to continue.

    ``sampler`` is opaque here: the runner hands it to the extension. ``max_tokens`` is resolved:
    at least 1, or 0 where the prompt alone is to be scored, and with the prompt never more than
    one sequence has room for.

    Raises:
        InvalidRequest: there is no token to continue, or none to be generated.
    """

    id: str
    tokens: tuple[int, ...]
    """Prompt, at least one; ids of text, negative numbers where they stand for media."""
    max_tokens: int
    arrival_s: float
    """Submission time, seconds on the engine's clock."""
    cache_prompt: bool = True
    may_draft: bool = True
    """Whether tokens may be sampled several in a step, where the engine drafts."""
    sampler: Any = None
    prompt_logprobs: int | None = None
    """Tell how likely each prompt token was, and this many of the likeliest at its place.

    Such a request needs ``cache_prompt`` off: a reused cell has no logits.
    """
    media: tuple[MediaSpan, ...] = ()
    """Where the prompt holds media, in order."""

    def __post_init__(self) -> None:
        """Refuse what would keep a slot without ever giving the model something to do."""
        if not self.tokens:
            raise InvalidRequest("prompt must hold at least one token", param="prompt")
        if self.prompt_logprobs is not None and self.cache_prompt:
            raise InvalidRequest("prompt_logprobs excludes cache_prompt", param="prompt_logprobs")
        if self.media and self.prompt_logprobs is not None:
            raise InvalidRequest("prompt_logprobs excludes media", param="prompt_logprobs")
        if self.media and self.media[-1].end >= len(self.tokens):
            # Only text has logits, and the first token of the answer comes of the last ones.
            raise InvalidRequest("the prompt must end with text, not with media", param="prompt")
        if self.max_tokens < (1 if self.prompt_logprobs is None else 0):
            raise InvalidRequest("max_tokens must be at least 1", param="max_tokens")
