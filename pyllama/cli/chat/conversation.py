"""What was said so far; saved as JSON in OpenAI's form."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyllama.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

_MEDIA = ("image_url", "input_audio", "input_video", "video_url")


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A question and its answer."""

    question: str
    files: tuple[dict[str, Any], ...] = ()
    """Parts with the media that the question is about."""
    answer: str
    reasoning: str = ""


@dataclass(slots=True)
class Conversation:
    """The turns of a chat."""

    system: str = ""
    """The system prompt; empty: none."""
    turns: list[Turn] = field(default_factory=list)

    def messages(
        self, question: str | None = None, files: Sequence[dict[str, Any]] = ()
    ) -> list[dict[str, Any]]:
        """Return OpenAI's messages, up to a new question about files if there is one."""
        found: list[dict[str, Any]] = []
        if self.system:
            found.append({"role": "system", "content": self.system})
        for turn in self.turns:
            answer = {"role": "assistant", "content": turn.answer}
            if turn.reasoning:
                answer["reasoning_content"] = turn.reasoning
            found += [_asked(turn.question, turn.files), answer]
        if question is not None:
            found.append(_asked(question, files))
        return found

    def save(self, path: Path, model: str) -> None:
        """Write the conversation to a file, whole or not at all.

        Raises:
            ConfigError: the file holds something else, or cannot be written.
        """
        if path.exists():
            try:
                _read(path)
            except ConfigError as error:
                raise ConfigError(f"{path} exists and is no conversation; not saved") from error
        text = json.dumps({"model": model, "messages": self.messages()}, ensure_ascii=False)
        try:
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text + "\n")
                Path(name).replace(path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except (OSError, UnicodeError) as error:
            raise ConfigError(f"cannot save to {path}: {error}") from error

    @classmethod
    def load(cls, path: Path) -> Conversation:
        """Read a conversation from a file.

        Raises:
            ConfigError: the file holds none, or cannot be read.
        """
        messages = _read(path)
        system = ""
        if messages and messages[0]["role"] == "system":
            system = plain_text(messages.pop(0)["content"])
        roles = [message["role"] for message in messages]
        if roles != ["user", "assistant"] * (len(roles) // 2):
            raise ConfigError(f"{path}: questions and answers must alternate, an answer at the end")
        turns = [
            Turn(
                question=plain_text(question["content"]),
                files=_files(question["content"]),
                answer=plain_text(answer["content"]),
                reasoning=answer.get("reasoning_content") or "",
            )
            for question, answer in zip(messages[::2], messages[1::2], strict=True)
        ]
        return cls(system, turns)


def plain_text(content: str | list[dict[str, Any]]) -> str:
    """Return what a content says, without its media."""
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content if part["type"] == "text")


def _asked(question: str, files: Sequence[dict[str, Any]]) -> dict[str, Any]:
    text = {"type": "text", "text": question}
    return {"role": "user", "content": [*files, text] if files else question}


def _files(content: str | list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    if isinstance(content, str):
        return ()
    return tuple(part for part in content if part["type"] != "text")


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        messages = json.loads(path.read_text("utf-8"))["messages"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise ConfigError(f"{path} holds no conversation: {error}") from error
    if not isinstance(messages, list) or not all(map(_is_message, messages)):
        raise ConfigError(f"{path} holds no conversation: messages must have a role and a text")
    return messages


def _is_message(message: object) -> bool:
    return (
        isinstance(message, dict)
        and isinstance(message.get("role"), str)
        and (isinstance(message.get("content"), str) or _has_parts(message))
        and isinstance(message.get("reasoning_content", ""), (str, type(None)))
    )


def _has_parts(message: dict[str, Any]) -> bool:
    content = message.get("content")
    return message["role"] == "user" and isinstance(content, list) and all(map(_is_part, content))


def _is_part(part: object) -> bool:
    if not isinstance(part, dict):
        return False
    # Not those that name a file: a conversation of somebody else's must not open mine.
    return part.get("type") in _MEDIA or (
        part.get("type") == "text" and isinstance(part.get("text"), str)
    )
