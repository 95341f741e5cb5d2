"""Bodies of ``/api/generate`` to prompts and parameters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest, Unsupported
from pyllama.field_names import caller_names

from ..fields import FieldReader
from ..parts import content_of, names_of
from ..validation import Schema
from .go_template import render
from .parse import Asked, parts_of, read, shared
from .refusals import GENERATE_REFUSALS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyllama import Llama, Prompt

GENERATE_FIELDS = FieldReader(Schema(__package__, "generate.json"), GENERATE_REFUSALS)

_NAMES = {"json_schema": "format", "reasoning_effort": "think", "messages": "prompt"}
# An answer that no model gives: where it stands in a rendered chat, the next turn begins.
_MARK = "\N{REPLACEMENT CHARACTER}pyllama-turn\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateRequest(Asked):
    """A checked body of ``/api/generate``."""

    text: str
    suffix: str
    system: str
    template: str
    images: Sequence[str]
    context: Sequence[int]
    raw: bool

    def prompt(self, llm: Llama) -> Prompt:
        """Make what the model is given.

        Raises:
            InvalidRequest: it cannot be made; ``param`` is the caller's own field.
        """
        messages, names = self._messages()
        with caller_names(_NAMES | names):
            if self.template:
                words = {"System": self.system, "Prompt": self.text, "Suffix": self.suffix}
                turn = llm.text_prompt(render(self.template, words), **self.form)
                return self._after_context(turn, llm)
            if self.suffix:
                return llm.infill_prompt(self.text, self.suffix, **self.form)
            if self.raw:
                return llm.text_prompt(self.text, **self.form)
            if not self.context:
                return llm.chat_prompt(messages, **self.form, **self.reasoning)
            return self._after_context(self._next_turn(messages, llm), llm)

    def _messages(self) -> tuple[list[dict[str, Any]], dict[str, str]]:
        """Return the chat of a text, and what its parts are in the body."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        parts = parts_of(self.images, "images", self.text, "prompt")
        names = names_of(parts, f"messages[{len(system)}]")
        return [*system, {"role": "user", "content": content_of(parts)}], names

    def _next_turn(self, messages: Sequence[Mapping[str, Any]], llm: Llama) -> Prompt:
        """Return what follows an answer: its end, and the new turn without what begins a chat."""
        before = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _MARK}]
        prompt = llm.chat_prompt([*before, *messages], **self.form, **self.reasoning)
        _, found, turn = llm.detokenize(prompt.tokens, special=True).partition(_MARK)
        if not found:
            raise Unsupported(
                "context is not supported with this model's chat template; send the conversation "
                "to /api/chat/ollama",
                param="context",
            )
        return replace(prompt, tokens=tuple(llm.tokenize(turn, parse_special=True)))

    def _after_context(self, turn: Prompt, llm: Llama) -> Prompt:
        if not self.context:
            return turn
        with caller_names({"prompt": "context"}):
            before = llm.text_prompt(self.context)
        return replace(turn, tokens=(*before.tokens, *turn.tokens))


def parse_generate(body: Mapping[str, Any], llm: Llama) -> GenerateRequest:
    """Check a body; raises :class:`InvalidRequest` with the path of the field."""
    fields = read(GENERATE_FIELDS, body)
    is_load = not fields.keys() & {"prompt", "suffix", "images"}
    asked = shared(fields, llm, is_load=is_load)
    _exclude(fields, "raw", ("system", "template", "context", "think"))
    # A picture has its place in a chat only, and a context is text.
    _exclude(fields, "images", ("raw", "suffix", "template", "context"))
    if "template" not in fields:
        _exclude(fields, "suffix", ("system", "context", "think"))
    return GenerateRequest(
        text=fields.get("prompt", ""),
        suffix=fields.get("suffix", ""),
        system=fields.get("system", ""),
        template=fields.get("template", ""),
        images=fields.get("images", ()),
        context=[int(token) for token in fields.get("context", ())],
        raw=fields.get("raw", False),
        **asked,
    )


def _exclude(fields: Mapping[str, Any], name: str, others: Sequence[str]) -> None:
    for other in others:
        if fields.get(name) and fields.get(other):
            raise InvalidRequest(
                f"{name} and {other} exclude each other; send one of them", param=other
            )
