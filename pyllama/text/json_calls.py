"""Answers that are nothing but JSON naming a tool: calls by models that know no better format."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pyllama.text.json_check import JsonFault, check_json, read_json
from pyllama.text.json_scan import JsonScanner
from pyllama.text.message import Call

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_HELD = 1 << 16
"""Characters that are held back at most while an answer may still be a call."""

# Characters before the first key's end at most.
_MAX_HEAD = 256
# A fence may stand around the JSON; its first line names the language.
_FENCE = re.compile(r"\s*```(?:json|tool_call)?[ \t]*\n")
_FENCE_BEGINS = re.compile(r"\s*(?:`{0,2}|```[a-z_]{0,9}[ \t]*)\Z")
_FENCE_ENDS = re.compile(r"\s*(?:`{0,3}|```\s*)\Z")
_FIRST_KEY = re.compile(r'\s*(?:\[\s*)?\{\s*"([^"\\]*)"')
_FIRST_NAME = re.compile(r'\s*(?:\[\s*)?\{\s*"(?:name|function)"\s*:\s*"([^"\\]*)"')
_KEYS = frozenset({"name", "function", "arguments", "parameters", "id", "type"})


class JsonCallGate:
    """Holds content back for as long as all of it may be such calls. For one thread.

    Args:
        tools: the tools of the request, in OpenAI's form.
        is_parallel: whether an answer may hold more than one call.
    """

    def __init__(self, tools: Sequence[Mapping[str, Any]], *, is_parallel: bool) -> None:
        functions = [tool["function"] for tool in tools if tool.get("type") == "function"]
        self._schemas = {function["name"]: function.get("parameters") for function in functions}
        self._is_parallel = is_parallel
        self._is_open = True
        self._texts: list[str] = []
        self._n_held = 0
        self._scanner: JsonScanner | None = None
        self._is_fenced = False
        self._is_named = False
        self._after = ""  # what follows the JSON
        self._begun = ""  # what the scanner saw, until the first name is known

    def feed(self, text: str) -> str:
        """Take in content; return what is certain to be content."""
        if not self._is_open or not text:
            return text
        self._texts.append(text)
        self._n_held += len(text)
        if self._n_held <= MAX_HELD and self._may_be_calls(text):
            return ""
        return self.release()

    def release(self) -> str:
        """Return all that was held back: it is content."""
        self._is_open = False
        held, self._texts = "".join(self._texts), []
        return held

    def calls(self) -> list[Call]:
        """Return the calls that the whole content is; none where it is content."""
        held = "".join(self._texts)
        if fence := _FENCE.match(held):
            body, ticks, _ = held[fence.end() :].rpartition("```")
            held = body if ticks else ""
        try:
            value = read_json(held)
            values = value if isinstance(value, list) else [value]
            if len(values) > 1 and not self._is_parallel:
                return []
            return [self._call(value) for value in values]
        except JsonFault:
            return []

    def _may_be_calls(self, text: str) -> bool:
        if self._scanner is None:
            text = "".join(self._texts)
            fence = _FENCE.match(text)
            if fence is None and _FENCE_BEGINS.match(text):
                return self._n_held <= _MAX_HEAD
            self._is_fenced = fence is not None
            text = text[fence.end() :] if fence else text
            if not text.strip():
                return self._n_held <= _MAX_HEAD
            self._scanner = JsonScanner()
        if self._scanner.state == "open":
            taken, text = self._scanner.feed(text)
            if self._scanner.state == "invalid" or not self._may_be_named(taken):
                return False
        return self._ends_well(text)

    def _ends_well(self, text: str) -> bool:
        if self._scanner is None or self._scanner.state != "complete":
            return True
        self._after += text
        return bool(_FENCE_ENDS.match(self._after)) if self._is_fenced else not text.strip()

    def _may_be_named(self, taken: str) -> bool:
        """Look at the first key, and at the name if that is what it holds."""
        if self._is_named:
            return True
        self._begun += taken
        key = _FIRST_KEY.match(self._begun)
        if key is None:
            return len(self._begun) <= _MAX_HEAD
        name = _FIRST_NAME.match(self._begun)
        self._is_named = name is not None or key[1] not in {"name", "function"}
        return key[1] in _KEYS and (name is None or name[1] in self._schemas)

    def _call(self, value: Any) -> Call:
        """Read one call. Raises JsonFault."""
        if isinstance(value, dict) and isinstance(value.get("function"), dict):
            outer = {key: item for key, item in value.items() if key != "function"}
            value = {**outer, **value["function"]}
        if not isinstance(value, dict) or not value.keys() <= _KEYS:
            raise JsonFault.of("not a call")
        name = value.get("name", value.get("function"))
        arguments = value.get("arguments", value.get("parameters", {}))
        if isinstance(arguments, str):
            arguments = read_json(arguments)
        if not isinstance(name, str) or name not in self._schemas or type(arguments) is not dict:
            raise JsonFault.of("not a call of one of the tools")
        schema = self._schemas[name]
        check_json(arguments, True if schema is None else schema)
        return Call("", name, json.dumps(arguments, ensure_ascii=False))
