"""Fields that Anthropic defines and this server does not honour."""

from __future__ import annotations

from ..fields import Refusal

_LEAVE_OUT = "leave it out"

PROMPT_REFUSALS = (
    Refusal("container", bool, _LEAVE_OUT),
    Refusal("context_management", bool, _LEAVE_OUT),
    Refusal("diagnostics", bool, _LEAVE_OUT),
    Refusal("inference_geo", bool, _LEAVE_OUT),
    Refusal("mcp_servers", bool, "call the servers yourself and hand their tools over in tools"),
    Refusal("output_format", bool, "send it as output_config.format"),
    Refusal("speed", lambda value: value != "standard", 'send "standard"'),
)
