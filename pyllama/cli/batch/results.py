"""The line that a request's line becomes: an answer, or what went wrong."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from pyllama.cli.batch.lines import CHAT_URL

if TYPE_CHECKING:
    from pyllama.cli.batch.lines import Line
    from pyllama.errors import PyllamaError
    from pyllama.generation import Generation
    from pyllama.results import Completion, ToolCall, Usage


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
        found["tool_calls"] = [_call(call) for call in completion.tool_calls]
    return {
        **found,
        "finish_reason": completion.finish_reason,
        "usage": _usage(completion.usage),
    }


def _openai_body(line: Line, completion: Completion, model: str, request_id: str) -> dict[str, Any]:
    choice: dict[str, Any] = {"index": 0, "logprobs": None}
    if line.url == CHAT_URL:
        kind, prefix = "chat.completion", "chatcmpl"
        choice["message"] = _message(completion)
    else:
        kind, prefix = "text_completion", "cmpl"
        choice["text"] = completion.text
    return {
        "id": f"{prefix}-{request_id}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "choices": [{**choice, "finish_reason": completion.finish_reason}],
        "usage": _usage(completion.usage),
    }


def _message(completion: Completion) -> dict[str, Any]:
    calls = [_call(call) for call in completion.tool_calls]
    content = completion.text or (None if calls else "")
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if completion.reasoning:
        message["reasoning_content"] = completion.reasoning
    if calls:
        message["tool_calls"] = calls
    return message


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }
