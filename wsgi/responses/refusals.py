"""Fields that OpenAI defines for responses and this server does not honour."""

from __future__ import annotations

from ..fields import Refusal

_LEAVE_OUT = "leave it out"

PROMPT_REFUSALS = (
    Refusal("background", bool, "send the request with stream instead"),
    Refusal("context_management", bool, _LEAVE_OUT),
    Refusal("conversation", bool, "go on from an answer with previous_response_id"),
    Refusal("max_tool_calls", lambda _: True, "no tool is called by the server itself"),
    Refusal("moderation", bool, _LEAVE_OUT),
    Refusal("prompt", bool, "send its text in instructions and input"),
    Refusal("truncation", lambda value: value != "disabled", 'send "disabled"'),
)
