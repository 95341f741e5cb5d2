"""What one client asked for, as the scheduler sees it: immutable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """One prompt to continue.

    ``sampler`` is opaque here: the runner hands it to the extension. ``max_tokens`` is resolved:
    at least 1, and never more than the context has room for.
    """

    id: str
    tokens: tuple[int, ...]
    """Prompt, token ids, at least one."""
    max_tokens: int
    arrival_s: float
    """Submission time, seconds on the engine's clock."""
    cache_prompt: bool = True
    sampler: Any = None
