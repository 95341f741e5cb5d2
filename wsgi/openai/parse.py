"""Request bodies to prompts and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest, Unsupported
from pyllama.params import GenerationParams

from ..fields import FieldReader
from ..validation import Schema
from .refusals import CHAT_REFUSALS, COMPLETION_REFUSALS

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHAT = FieldReader(Schema(__package__, "chat.json"), CHAT_REFUSALS)
_COMPLETION = FieldReader(Schema(__package__, "completion.json"), COMPLETION_REFUSALS)

_OPTIONS = frozenset(GenerationParams.names())
_TOKEN_LIMITS = ("max_tokens", "max_completion_tokens", "n_predict")


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationFields:
    """What both routes share."""

    params: GenerationParams
    stream: bool
    include_usage: bool
    """Whether a stream ends with a chunk that has the usage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest(GenerationFields):
    """A checked body of ``/v1/chat/completions``."""

    messages: list[dict[str, Any]]
    template_kwargs: dict[str, Any]
    add_generation_prompt: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest(GenerationFields):
    """A checked body of ``/v1/completions``."""

    prompt: str | list[int]


def parse_chat(body: Mapping[str, Any], defaults: GenerationParams) -> ChatRequest:
    """Check a body; raises :class:`InvalidRequest` with the path of the field."""
    fields = _CHAT.read(body)
    _refuse_media(fields["messages"])
    return ChatRequest(
        messages=fields["messages"],
        template_kwargs=fields.get("chat_template_kwargs", {}),
        add_generation_prompt=fields.get("add_generation_prompt", True),
        **_generation(fields, defaults),
    )


def parse_completion(body: Mapping[str, Any], defaults: GenerationParams) -> CompletionRequest:
    """Check a body; raises :class:`InvalidRequest` with the path of the field."""
    fields = _COMPLETION.read(body)
    return CompletionRequest(prompt=_one_prompt(fields["prompt"]), **_generation(fields, defaults))


def _generation(fields: Mapping[str, Any], defaults: GenerationParams) -> dict[str, Any]:
    options = {name: _whole(fields[name]) for name in fields.keys() & _OPTIONS}
    limits = {_whole(fields[name]) for name in _TOKEN_LIMITS if name in fields}
    if len(limits) > 1:
        names = " and ".join(name for name in _TOKEN_LIMITS if name in fields)
        raise InvalidRequest(
            f"{names} mean the same and have different values; send one of them",
            param=next(name for name in _TOKEN_LIMITS if name in fields),
        )
    if limits:
        options["max_tokens"] = limits.pop()
    stream_options = fields.get("stream_options", {})
    return {
        "params": defaults.with_options(**options),
        "stream": fields.get("stream", False),
        "include_usage": bool(stream_options.get("include_usage")),
    }


def _whole(value: Any) -> Any:
    """Return 10 for 10.0, which JSON Schema counts among the integers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _refuse_media(messages: list[dict[str, Any]]) -> None:
    for i, message in enumerate(messages):
        content = message.get("content")
        if not isinstance(content, list):
            continue
        for k, part in enumerate(content):
            if part["type"] != "text":
                raise Unsupported(
                    f"content parts of type {part['type'][:40]!r} are not supported; send text",
                    param=f"messages[{i}].content[{k}]",
                )


def _one_prompt(prompt: str | list[Any]) -> str | list[int]:
    """Return the one prompt in a ``prompt`` field.

    A list of strings, or of lists of token ids, asks for as many choices.
    """
    if isinstance(prompt, str) or _are_token_ids(prompt):
        return prompt
    if not all(isinstance(item, str) or _are_token_ids(item) for item in prompt):
        raise InvalidRequest(
            "prompt must be a string, a list of token ids, or a list with one of these",
            param="prompt",
        )
    if len(prompt) > 1:
        raise Unsupported(
            "several prompts in one request are not supported; send one request for each",
            param="prompt",
        )
    only: str | list[int] = prompt[0]
    return only


def _are_token_ids(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int for item in value)
