"""How an answer's text is read: content, reasoning, tool calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyllama.results import ToolCallDelta


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """Everything that the parser of an answer needs: plain data.

    Source: ``common_chat_params`` and ``common_chat_parser_params`` in common/chat.h.
    """

    format: int
    parser: str
    """llama-common's parser for this template and these tools, serialised."""
    generation_prompt: str = ""
    reasoning_format: str = "none"
    parse_tool_calls: bool = False
    is_continuation: bool = False
    preserved_tokens: frozenset[int] = frozenset()
    """Control tokens whose text the parser must see."""
    thinking_start: str = ""
    thinking_ends: tuple[str, ...] = ()
    tools: tuple[Mapping[str, Any], ...] = ()
    """The tools of the request, in OpenAI's form."""
    schema: Mapping[str, Any] | bool | None = None
    """What the content must satisfy as JSON; checked at the end."""
    parallel_tool_calls: bool = False
    json_calls: bool = False
    """Whether an answer that is nothing but a JSON object naming a tool is a call of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputDelta:
    """What became certain of an answer."""

    content: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
