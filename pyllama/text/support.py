"""What a chat template can do with tools, and what stands in for what it cannot."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama.errors import NativeError
from pyllama.text import messages as chat_messages
from pyllama.text import tools as chat_tools

if TYPE_CHECKING:
    from pyllama._ext.chat import ChatTemplate
    from pyllama.text.tools import Tools

_PROBE = {
    "messages": [{"role": "user", "content": "x"}],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "probe",
                "description": "",
                "parameters": {
                    "type": "object",
                    "properties": {"x": {"type": "string"}},
                    "required": ["x"],
                },
            },
        }
    ],
    "tool_choice": "required",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSupport:
    """What a template can do; found out once, by trying."""

    has_form: bool
    """Whether it has a form for calls that llama-common knows; else JSON within tags stands in."""
    shows_tools: bool
    """Whether it tells the model of the tools; else the system prompt does."""
    is_parallel: bool
    """Whether an answer may hold several calls."""
    is_specialized: bool
    """Whether llama-common may rewrite messages for it."""
    shows_schema: bool
    """Whether it shows the model the schema of its answer."""

    @classmethod
    def of(cls, template: ChatTemplate) -> TemplateSupport:
        """Try a template."""
        caps = template.caps
        try:
            has_form = bool(template.apply(json.dumps(_PROBE))["grammar"])
        except NativeError:
            has_form = False
        return cls(
            has_form=has_form,
            shows_tools=has_form and caps["supports_tools"],
            is_parallel=not has_form or caps["supports_parallel_tool_calls"],
            is_specialized=caps["is_specialized"],
            shows_schema="response_format" in template.source,
        )

    def adapted(self, messages: list[dict[str, Any]], tools: Tools) -> list[dict[str, Any]]:
        """Return messages in which stands what the template itself would not say."""
        if not self.has_form:
            messages = chat_messages.without_calls(messages)
        if self.shows_tools or not tools.given or tools.choice == "none":
            return messages
        text = chat_tools.description(tools.shown, has_format=self.has_form)
        return chat_messages.described(messages, text)
