"""Joins the chunks of a stream to the answer that would have come whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


def same_answer(whole: dict[str, Any], chunks: Sequence[dict[str, Any]]) -> None:
    """Assert that a stream adds up to an answer that came whole, field by field.

    Ids and times differ; those of tool calls too, as each answer draws its own.
    """
    fold = fold_chat if whole["object"] == "chat.completion" else fold_text
    choices = fold(chunks)
    assert [without_ids(choice) for choice in choices] == [
        without_ids(choice) for choice in whole["choices"]
    ]
    assert chunks[-1]["choices"] == []
    assert without_cache(chunks[-1]["usage"]) == without_cache(whole["usage"])
    assert chunks[-1]["timings"].keys() == whole["timings"].keys()
    assert chunks[-1]["timings"]["predicted_n"] == whole["timings"]["predicted_n"]
    for chunk in chunks:
        assert chunk["model"] == whole["model"]
        assert chunk["system_fingerprint"] == whole["system_fingerprint"]


def fold_chat(chunks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the choices that the chunks of a chat add up to."""
    choices: dict[int, dict[str, Any]] = {}
    for piece in (piece for chunk in chunks for piece in chunk["choices"]):
        new = {"index": piece["index"], "message": {}, "logprobs": None, "finish_reason": None}
        choice = choices.setdefault(piece["index"], new)
        assert choice["finish_reason"] is None
        choice["finish_reason"] = piece["finish_reason"]
        if piece.get("logprobs") is not None:
            before = choice["logprobs"] or {"content": [], "refusal": None}
            content = before["content"] + piece["logprobs"]["content"]
            choice["logprobs"] = {"content": content, "refusal": None}
        add_delta(choice["message"], piece["delta"])
    for choice in choices.values():
        message = choice["message"]
        if message["content"] is None and "tool_calls" not in message:
            # No piece of text came: the text is empty.
            message["content"] = ""
    return [choices[index] for index in sorted(choices)]


def add_delta(message: dict[str, Any], delta: dict[str, Any]) -> None:
    """Add a delta to the message so far."""
    for name, value in delta.items():
        if name == "tool_calls":
            for call in value:
                add_call(message.setdefault("tool_calls", []), call)
        elif name in ("content", "reasoning_content") and message.get(name) is not None:
            assert value
            message[name] += value
        else:
            assert value != ""
            message[name] = value


def add_call(calls: list[dict[str, Any]], piece: dict[str, Any]) -> None:
    """Add a piece of a tool call to the calls so far."""
    if piece["index"] == len(calls):
        calls.append(
            {"id": piece["id"], "type": piece["type"], "function": dict(piece["function"])}
        )
    else:
        assert piece.keys() == {"index", "function"}
        calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]


def fold_text(chunks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the choices that the chunks of a text completion add up to."""
    choices: dict[int, dict[str, Any]] = {}
    for piece in (piece for chunk in chunks for piece in chunk["choices"]):
        choice = choices.setdefault(piece["index"], dict(piece, text="", logprobs=None))
        choice["text"] += piece["text"]
        choice["finish_reason"] = piece["finish_reason"]
        if piece["logprobs"] is not None:
            before = choice["logprobs"] or {name: [] for name in piece["logprobs"]}
            choice["logprobs"] = {
                name: before[name] + piece["logprobs"][name] for name in piece["logprobs"]
            }
    return [choices[index] for index in sorted(choices)]


def without_ids(choice: dict[str, Any]) -> dict[str, Any]:
    """Return a choice without the ids of its calls, each of which must be one."""
    message = dict(choice.get("message", {}))
    calls = message.get("tool_calls", [])
    assert all(call["id"] for call in calls)
    assert len({call["id"] for call in calls}) == len(calls)
    if calls:
        message["tool_calls"] = [{**call, "id": None} for call in calls]
    return {**choice, "message": message}


def without_cache(usage: dict[str, Any]) -> dict[str, Any]:
    """Return a usage without what depends on the requests before."""
    return {name: value for name, value in usage.items() if name != "prompt_tokens_details"}
