"""The line that a request's line becomes: an answer, or what went wrong."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from pyllama.cli.batch.lines import CHAT_URL
from pyllama.openai_objects import (
    call_object,
    chat_choice,
    message_object,
    text_choice,
    usage_object,
)

if TYPE_CHECKING:
    from pyllama.cli.batch.lines import Line
    from pyllama.errors import PyllamaError
    from pyllama.generation import Generation
    from pyllama.results import Completion


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a line of the output holds."""

    index: int
    data: bytes
    """JSON, with the line's end."""
    is_failure: bool
    n_tokens: int = 0
    """Tokens that were generated."""


def answered(line: Line, generation: Generation, model: str) -> Result:
    """Return the result of a request whose answer is whole.

    Raises:
        InvalidResponse: the answer is not what was asked for.
    """
    completion = generation.completion
    if line.is_openai:
        body = _openai_body(line, completion, model, generation.request_id)
        response = {"status_code": 200, "request_id": generation.request_id, "body": body}
        rest = {"response": response, "error": None}
    else:
        rest = _plain(completion)
    n_tokens = completion.usage.completion_tokens
    return Result(index=line.index, data=_encode(line, rest), is_failure=False, n_tokens=n_tokens)


def failed(line: Line, error: PyllamaError) -> Result:
    """Return the result of a request without an answer."""
    told = {
        "code": type(error).__name__,
        "message": str(error),
        "param": getattr(error, "param", None),
    }
    rest = {"response": None, "error": told} if line.is_openai else {"error": told}
    return Result(index=line.index, data=_encode(line, rest), is_failure=True)


def _encode(line: Line, rest: dict[str, Any]) -> bytes:
    head: dict[str, Any] = {"index": line.index}
    if line.is_openai:
        head |= {"id": f"batch_req_{line.index}", "custom_id": line.id}
    elif line.id is not None:
        head["id"] = line.id
    return orjson.dumps({**head, **rest}, option=orjson.OPT_APPEND_NEWLINE)


def _plain(completion: Completion) -> dict[str, Any]:
    found: dict[str, Any] = {"text": completion.text}
    if completion.reasoning:
        found["reasoning"] = completion.reasoning
    if completion.tool_calls:
        found["tool_calls"] = [call_object(call) for call in completion.tool_calls]
    return {
        **found,
        "finish_reason": completion.finish_reason,
        "usage": usage_object(completion.usage),
    }


def _openai_body(line: Line, completion: Completion, model: str, request_id: str) -> dict[str, Any]:
    reason = completion.finish_reason
    if line.url == CHAT_URL:
        kind, prefix = "chat.completion", "chatcmpl"
        choice = chat_choice(0, message_object(completion), None, reason)
    else:
        kind, prefix = "text_completion", "cmpl"
        choice = text_choice(0, completion.text, None, reason)
    return {
        "id": f"{prefix}-{request_id}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "choices": [choice],
        "usage": usage_object(completion.usage),
    }
