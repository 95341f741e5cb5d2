"""Items to messages in OpenAI's chat form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest, Unsupported
from pyllama.interruption import checkpoint

from ..conversation import function_call
from ..ignored import note_item
from ..parts import Conversion, Part, picture_part, text_part
from .calls import CALLS, OUTPUTS, call_id_of, call_of, is_hosted, output_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .store import Item

_TEXTS = frozenset({"input_text", "output_text", "text"})
_ANSWER_TEXTS = _TEXTS | {"refusal"}
_THOUGHTS = frozenset({"reasoning_text", "summary_text"})


class Converter(Conversion):
    """Makes the messages of one request, and remembers where each came from."""

    def __init__(self) -> None:
        super().__init__()
        self._function_names: dict[str, str] = {}
        # PERF: to add each text to those before it would take the square of their number.
        self._texts: list[str] = []
        self._thoughts: list[str] = []

    def add_instructions(self, text: str) -> None:
        """Add the ``instructions`` field."""
        self._add("instructions", {"role": "system", "content": text})

    def add_item(self, item: Item, path: str) -> None:
        """Add an item.

        Args:
            item: it satisfies the schema.
            path: where it stands in the body.

        Raises:
            Unsupported: it is of a type, or has a part of a type, that is not read here.
            InvalidRequest: it makes no sense where it stands.
        """
        checkpoint()
        kind = item.get("type", "message")
        if kind == "message":
            self._add_message(item, path)
        elif is_hosted(item):
            note_item(kind)
        elif kind == "reasoning":
            self._add_thoughts(item, path)
        elif kind in CALLS:
            self._add_call(item, path)
        elif kind in OUTPUTS:
            self._add_output(item, path)
        elif kind != "additional_tools":  # they are shown with the others
            raise Unsupported(
                f"{path}.type {kind[:40]!r} is not supported; send messages, function calls and "
                "their outputs",
                param=f"{path}.type",
            )

    def finish(self) -> None:
        """Check the end of it. Raises InvalidRequest."""
        self._end_answer()
        if not self.messages:
            raise InvalidRequest("input must not be empty", param="input")
        if self.messages[-1].get("tool_calls"):
            raise InvalidRequest(
                "input must go on after its function calls; send a function_call_output for each",
                param="input",
            )

    def _add_message(self, item: Item, path: str) -> None:
        content = item["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if item["role"] == "assistant":
            texts = _texts(parts, f"{path}.content", _ANSWER_TEXTS)
            self._answer(path)
            self._texts += texts
        else:
            self._add(path, {"role": item["role"]}, _parts(parts, f"{path}.content"))

    def _add_thoughts(self, item: Item, path: str) -> None:
        parts = item.get("content") or item.get("summary") or []
        texts = _texts(parts, f"{path}.content", _THOUGHTS)
        # What is encrypted only its maker can read.
        if texts:
            self._answer(path)
            self._thoughts += texts

    def _add_call(self, item: Item, path: str) -> None:
        call_id = call_id_of(item, path)
        name, arguments = call_of(item, path)
        self._function_names[call_id] = name
        answer = self._answer(path)
        calls = answer.setdefault("tool_calls", [])
        place = f"messages[{len(self.messages) - 1}].tool_calls[{len(calls)}]"
        self.names[place] = self.names[f"{place}.function"] = path
        calls.append(function_call(call_id, name, arguments))

    def _add_output(self, item: Item, path: str) -> None:
        call_id = call_id_of(item, path)
        name = self._function_names.get(call_id)
        if name is None:
            raise InvalidRequest(
                f"{path}.call_id names no call before it: {call_id[:64]!r}",
                param=f"{path}.call_id",
            )
        output = output_of(item)
        parts = [{"type": "text", "text": output}] if isinstance(output, str) else output
        message = {"role": "tool", "tool_call_id": call_id, "name": name}
        self._add(path, message, _parts(parts, f"{path}.output"))

    def _answer(self, path: str) -> dict[str, Any]:
        """Return the assistant's message that goes on: its reasoning, text and calls are one."""
        last = self.messages[-1] if self.messages else {}
        if last.get("role") != "assistant":
            self._add(path, {"role": "assistant", "content": ""})
        return self.messages[-1]

    def _add(self, path: str, message: dict[str, Any], parts: Sequence[Part] | None = None) -> None:
        self._end_answer()
        super()._add(path, message, parts)

    def _end_answer(self) -> None:
        """Give the assistant's message, if it is the last one, the texts that came for it."""
        last = self.messages[-1] if self.messages else {}
        if last.get("role") != "assistant":
            return
        last["content"] = "".join(self._texts) or (None if "tool_calls" in last else "")
        if self._thoughts:
            last["reasoning_content"] = "".join(self._thoughts)
        self._texts, self._thoughts = [], []


def _parts(parts: Sequence[Mapping[str, Any]], path: str) -> list[Part]:
    """Return parts of what is said or shown to the model."""
    return [_part(part, f"{path}[{i}]") for i, part in enumerate(parts)]


def _part(part: Mapping[str, Any], path: str) -> Part:
    checkpoint()
    kind = part["type"]
    if kind in _TEXTS:
        return text_part(part["text"], path)
    if kind == "input_image":
        return picture_part(part["image_url"], path, f"{path}.image_url")
    if kind == "input_audio":
        return Part({"type": kind, kind: part[kind]}, path)
    raise _unsupported(kind, path, (*_TEXTS, "input_image", "input_audio"))


def _texts(parts: Sequence[Mapping[str, Any]], path: str, kinds: frozenset[str]) -> list[str]:
    for i, part in enumerate(parts):
        checkpoint()
        if part["type"] not in kinds:
            raise _unsupported(part["type"], f"{path}[{i}]", kinds)
    return [part["refusal" if part["type"] == "refusal" else "text"] for part in parts]


def _unsupported(kind: str, path: str, kinds: Iterable[str]) -> Unsupported:
    return Unsupported(
        f"{path}.type {kind[:40]!r} is not supported here; send {' or '.join(sorted(kinds))}",
        param=f"{path}.type",
    )
