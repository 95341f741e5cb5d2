"""An answer's text, told apart into content, reasoning and tool calls as it comes."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING

from pyllama._ext.chat_parser import ChatParser
from pyllama.errors import InvalidResponse
from pyllama.text.json_calls import JsonCallGate
from pyllama.text.json_check import JsonFault, check_json, read_json
from pyllama.text.message import Ledger
from pyllama.text.message_reader import MessageReader
from pyllama.text.output import OutputDelta
from pyllama.text.runs import Delimiters

if TYPE_CHECKING:
    from pyllama.results import ToolCallDelta
    from pyllama.text.output import OutputFormat


class AnswerParser:
    """Reads one answer. For one thread.

    What has been returned is never taken back, and nothing of an answer is lost: text that is not
    in the format is content.

    Args:
        output: the answer's format.
    """

    def __init__(self, output: OutputFormat) -> None:
        self._output = output
        self._reader: MessageReader | None = None
        if output.parser:
            self._reader = MessageReader(*_native(output), skips_prefill=output.is_continuation)
        self._gate: JsonCallGate | None = None
        if output.json_calls and output.tools:
            self._gate = JsonCallGate(output.tools, is_parallel=output.parallel_tool_calls)
        self._content: list[str] = []
        self._is_thinking = False
        self.has_tool_calls = False
        """Whether a call has been returned."""

    def feed(self, text: str) -> OutputDelta:
        """Take in text; return what became certain."""
        delta = OutputDelta(content=text) if self._reader is None else self._reader.feed(text)
        content = delta.content if self._gate is None else self._gate.feed(delta.content)
        return self._returned(content, delta.reasoning, delta.tool_calls)

    def finish(self, *, is_cut: bool) -> OutputDelta:
        """Take in the end of the text; return what was held back.

        Args:
            is_cut: the answer did not end by itself, so nothing is checked.

        Raises:
            InvalidResponse: the content does not satisfy the format's schema.
        """
        delta = OutputDelta() if self._reader is None else self._reader.finish(is_cut=is_cut)
        content, calls = delta.content, delta.tool_calls
        if self._gate is not None:
            content = self._gate.feed(content)
            if not (is_cut or calls or self.has_tool_calls):
                calls = self._json_calls(self._gate)
            if not calls or delta.tool_calls:
                content += self._gate.release()
        returned = self._returned(content, delta.reasoning, calls)
        if not (is_cut or self.has_tool_calls):
            self._check()
        return returned

    def _json_calls(self, gate: JsonCallGate) -> tuple[ToolCallDelta, ...]:
        ledger = Ledger()
        for index, call in enumerate(gate.calls()):
            ledger.add_call(call)
            ledger.add_arguments(index, call.arguments)
        return ledger.take().tool_calls

    def _returned(
        self, content: str, reasoning: str, calls: tuple[ToolCallDelta, ...]
    ) -> OutputDelta:
        self.has_tool_calls |= bool(calls)
        if self._output.schema is not None and content:
            self._content.append(content)
        if self._output.reasoning_format == "deepseek-legacy":
            content = self._with_thinking(content, reasoning, is_calling=bool(calls))
        return OutputDelta(content=content, reasoning=reasoning, tool_calls=calls)

    def _with_thinking(self, content: str, reasoning: str, *, is_calling: bool) -> str:
        """Return content with the thinking block inside of it."""
        parts = []
        if reasoning:
            if not self._is_thinking:
                parts.append(self._output.thinking_start)
            self._is_thinking = True
            parts.append(reasoning)
        if self._is_thinking and (content or is_calling):
            self._is_thinking = False
            parts += [end.strip() for end in self._output.thinking_ends[:1]]
        return "".join([*parts, content])

    def _check(self) -> None:
        if self._output.schema is None:
            return
        try:
            check_json(read_json("".join(self._content)), self._output.schema)
        except JsonFault as fault:
            message = f"the answer does not satisfy the response schema: {fault}"
            raise InvalidResponse(message, details=fault.details) from fault


def _native(output: OutputFormat) -> tuple[ChatParser, Delimiters]:
    """Return llama-common's parser of a format; requests with the same tools share one."""
    params = {
        "format": output.format,
        "parser": output.parser,
        "generation_prompt": output.generation_prompt,
        "reasoning_format": output.reasoning_format,
        "parse_tool_calls": output.parse_tool_calls,
        "is_continuation": output.is_continuation,
    }
    return _load(json.dumps(params))


@functools.lru_cache(maxsize=64)
def _load(params: str) -> tuple[ChatParser, Delimiters]:
    parser = ChatParser(params)
    return parser, Delimiters(parser.delimiters)
