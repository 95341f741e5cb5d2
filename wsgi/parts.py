"""Parts of messages in the form that OpenAI's chats have them, and what a body calls them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyllama.interruption import checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Part:
    """A part, and where in the body it came from."""

    value: Mapping[str, Any]
    path: str
    members: Mapping[str, str] = field(default_factory=dict)
    """From the path of a member within the part to one in the body, where it is another one."""

    @property
    def is_text(self) -> bool:
        """Whether it is no media."""
        return bool(self.value["type"] == "text")


def text_part(text: str, path: str) -> Part:
    """Return a text."""
    return Part({"type": "text", "text": text}, path)


def picture_part(url: str, path: str, member: str) -> Part:
    """Return a picture.

    Args:
        url: its address, or a ``data:`` URL that holds it.
        path: of the part in the body.
        member: path of what holds the picture.
    """
    value = {"type": "image_url", "image_url": {"url": url}}
    return Part(value, path, {"image_url.url": member})


def base64_url(data: str) -> str:
    """Return the URL of a file in base64; what kind it is, its content tells."""
    return f"data:;base64,{data}"


def content_of(parts: Sequence[Part]) -> str | list[Mapping[str, Any]]:
    """Return the content of a message: a string where one text says it all, else parts.

    Not every template takes parts.
    """
    if not parts:
        return ""
    if len(parts) == 1 and parts[0].is_text:
        text: str = parts[0].value["text"]
        return text
    return [part.value for part in parts]


def names_of(parts: Sequence[Part], place: str) -> dict[str, str]:
    """Return what the parts of the message at a place are in the body, by their paths here."""
    names: dict[str, str] = {}
    for index, part in enumerate(parts):
        here = f"{place}.content[{index}]"
        names[here] = part.path
        names.update({f"{here}.{name}": path for name, path in part.members.items()})
    return names


class Conversion:
    """Messages in OpenAI's form in the making, and where in the body each came from."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.names: dict[str, str] = {}
        """From a path in :attr:`messages` to one in the body."""

    def _add(self, path: str, message: dict[str, Any], parts: Sequence[Part] | None = None) -> None:
        """Add a message that came from a path; parts become its content."""
        checkpoint()
        place = f"messages[{len(self.messages)}]"
        self.names[place] = path
        if parts is not None:
            message = {**message, "content": content_of(parts)}
            self.names.update(names_of(parts, place))
        self.messages.append(message)
