"""How to chat with a model where nobody says: what it is told, and how answers are sampled."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pyllama.field_names import caller_names
from pyllama.hub.default_model import DEFAULT
from pyllama.params import GenerationParams

_LEADING_ROLES = ("system", "developer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What suits a model in a conversation with a person; of most models we know nothing."""

    system_prompt: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Generation parameters, by the names of :meth:`GenerationParams.with_options`."""

    def without(self, given: Collection[str]) -> Recommendation:
        """Return what is left of it where somebody decided some parameters."""
        rest = {name: value for name, value in self.params.items() if name not in given}
        return replace(self, params=rest)

    def over(self, defaults: GenerationParams) -> GenerationParams:
        """Return parameters with the recommended ones in their places."""
        return defaults.with_options(**self.params)

    @contextmanager
    def led(self, messages: Sequence[Mapping[str, Any]]) -> Iterator[Sequence[Mapping[str, Any]]]:
        """Yield a chat with the system prompt before it, if there is one and the chat has none.

        What is refused within the block is called by the places that the caller gave it.
        """
        if not self.system_prompt or _has_system(messages):
            yield messages
            return
        system = {"role": "system", "content": self.system_prompt}
        with caller_names({f"messages[{i + 1}]": f"messages[{i}]" for i in range(len(messages))}):
            yield [system, *messages]


def _has_system(messages: object) -> bool:
    # What is no chat at all is for others to refuse.
    if not isinstance(messages, (list, tuple)) or not messages:
        return True
    return any(
        isinstance(message, Mapping) and message.get("role") in _LEADING_ROLES
        for message in messages
    )


# Temperature and top_p are its makers'. Their system prompt, which its template has where a chat
# has none, leads it astray: of twelve plain questions it answered seven or eight rightly, with this
# one ten or more. Of fourteen it answered five without an end, the same words over and over, before
# there was the penalty, and none since.
_DEFAULT_MODEL = Recommendation(
    system_prompt="You are a helpful assistant. Answer briefly.",
    params={"temperature": 0.2, "top_p": 0.9, "repeat_penalty": 1.1, "max_tokens": 512},
)


def recommendation_for(path: Path) -> Recommendation:
    """Return what suits the model of a file: something for the default model, wherever it lies."""
    try:
        is_default = path.name == DEFAULT.file_name and path.stat().st_size == DEFAULT.size_bytes
    except OSError:
        is_default = False
    return _DEFAULT_MODEL if is_default else Recommendation()
