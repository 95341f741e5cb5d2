"""What a sampler may produce: a grammar, and from where on it counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """Plain data that becomes JSON for the sampler; the fields are llama-common's.

    Source: ``common_chat_params`` in common/chat.h, ``common_params_sampling`` in common/common.h.
    """

    grammar: str = ""
    """GBNF; its root rule is ``root``."""
    lazy: bool = False
    """Whether the grammar sleeps until a trigger occurs."""
    triggers: tuple[Mapping[str, Any], ...] = ()
    preserved_tokens: tuple[str, ...] = ()
    generation_prompt: str = ""
    """End of the prompt that an eager grammar takes as already produced."""
    thinking_start: str = ""
    thinking_ends: tuple[str, ...] = ()
    reasoning_budget: int = -1
    """Tokens of a thinking block; -1: no bound."""
    reasoning_budget_message: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name, for JSON."""
        return asdict(self)
