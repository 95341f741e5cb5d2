"""Answers as OpenAI has them, for everything that speaks so: here each member is written.

Around these stands what only one of them has: ids, timings, other members of a choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyllama.results import Completion, Delta, ToolCall, ToolCallDelta, Usage


def usage_object(usage: Usage, *, has_details: bool = True) -> dict[str, Any]:
    """Return ``usage``.

    Args:
        usage: what was counted.
        has_details: whether it says how much of the prompt was cached.
    """
    counts: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
    details = {"prompt_tokens_details": {"cached_tokens": usage.cached_tokens}}
    return {**counts, **(details if has_details else {})}


# ---- whole answers ------------------------------------------------------------------------------


def call_object(call: ToolCall) -> dict[str, Any]:
    """Return a call of a message."""
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def message_object(
    completion: Completion, write_call: Callable[[ToolCall], dict[str, Any]] = call_object
) -> dict[str, Any]:
    """Return the message of a whole answer to a chat.

    Args:
        completion: the answer.
        write_call: makes each of its calls.
    """
    calls = [write_call(call) for call in completion.tool_calls]
    # What calls and says nothing has no content, which is something else than an empty one.
    content = completion.text or (None if calls else "")
    message: dict[str, Any] = {"role": "assistant", "content": content}
    if completion.reasoning:
        message["reasoning_content"] = completion.reasoning
    if calls:
        message["tool_calls"] = calls
    return message


def chat_choice(
    index: int, message: dict[str, Any], logprobs: dict[str, Any] | None, finish_reason: str
) -> dict[str, Any]:
    """Return a choice of a whole answer to a chat."""
    return {
        "index": index,
        "message": message,
        "logprobs": logprobs,
        "finish_reason": finish_reason,
    }


def text_choice(
    index: int, text: str, logprobs: dict[str, Any] | None, finish_reason: str | None = None
) -> dict[str, Any]:
    """Return a choice of an answer to a text, whole or a piece of it."""
    return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish_reason}


# ---- pieces of answers to chats -----------------------------------------------------------------


def chunk_choice(
    index: int, delta: dict[str, Any], finish_reason: str | None = None
) -> dict[str, Any]:
    """Return a choice of a chunk of a chat's answer."""
    return {"index": index, "delta": delta, "finish_reason": finish_reason}


def call_piece(call: ToolCallDelta) -> dict[str, Any]:
    """Return a piece of a call: only the first has more than arguments."""
    if not call.id:
        return {"index": call.index, "function": {"arguments": call.arguments}}
    return {
        "index": call.index,
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def text_pieces(delta: Delta) -> dict[str, str]:
    """Return what a delta has of reasoning and content, by the names of a chunk's members."""
    found = {"reasoning_content": delta.reasoning, "content": delta.text}
    return {name: text for name, text in found.items() if text}
