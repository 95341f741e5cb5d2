"""The page's bodies of ``/api/chat`` to conversations and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama.field_names import caller_names, spelled

from ..conversation import Conversation
from ..fields import FieldReader
from ..validation import Schema
from .messages import MessageReader
from .sessions import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyllama import Llama
    from pyllama.params import GenerationParams

    from .uploads import UploadStore

CHAT_FIELDS = FieldReader(Schema(__package__, "chat.json"), ())

# The library's names, and the page's: the first is the one that it shows.
_SPELLINGS = {
    "max_tokens": ("maxTokens",),
    "temperature": ("temperature",),
    "top_k": ("topK", "top_k"),
    "top_p": ("topP", "top_p"),
    "min_p": ("minP", "min_p"),
    "repeat_penalty": ("repetitionPenalty", "repetition_penalty"),
    "presence_penalty": ("presencePenalty", "presence_penalty"),
    "frequency_penalty": ("frequencyPenalty", "frequency_penalty"),
    "seed": ("seed",),
    "stop": ("stop",),
}
_WHOLE = {"max_tokens", "top_k", "seed"}
_NAMES = {name: spellings[0] for name, spellings in _SPELLINGS.items()} | {
    "json_schema": "jsonSchema",
    "prompt": "messages",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebChatRequest:
    """A checked body of the page's ``/api/chat``."""

    conversation: Conversation
    params: GenerationParams
    session_id: str
    stream: bool
    shows_thinking: bool


def parse_chat(body: Mapping[str, Any], llm: Llama, uploads: UploadStore) -> WebChatRequest:
    """Check a body, and read its files.

    Args:
        body: what the page sent.
        llm: says what the model takes, and what holds where the body is silent.
        uploads: the files that it may name.

    Raises:
        InvalidRequest: it cannot be answered; names the field.
    """
    fields = CHAT_FIELDS.read(body)
    options: dict[str, Any] = {"enable_thinking": fields.get("think", False)}
    if fields.get("tools"):
        options["tools"] = [{"type": "function", **tool} for tool in fields["tools"]]
    if "jsonSchema" in fields:
        options["json_schema"] = fields["jsonSchema"]
    reader = MessageReader(uploads, llm.info)
    messages = reader.read(fields["messages"])
    return WebChatRequest(
        conversation=Conversation(messages=messages, options=options, names=_NAMES | reader.names),
        params=_params(fields, llm.defaults),
        session_id=fields.get("sessionId") or DEFAULT,
        stream=fields.get("stream", True),
        shows_thinking=options["enable_thinking"],
    )


def recommended(llm: Llama) -> dict[str, Any]:
    """Return what suits a model in a conversation, by the names that a body has for it."""
    known = llm.recommended
    system = {"systemPrompt": known.system_prompt} if known.system_prompt else {}
    return {**system, **{_NAMES[name]: value for name, value in known.params.items()}}


def _params(fields: Mapping[str, Any], defaults: GenerationParams) -> GenerationParams:
    given, names = spelled(fields, _SPELLINGS)
    options = {name: int(value) if name in _WHOLE else value for name, value in given.items()}
    if fields.get("newChat"):
        options["cache_prompt"] = False
    with caller_names(names):
        return defaults.with_options(**options)
