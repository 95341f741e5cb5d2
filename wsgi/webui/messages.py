"""The page's messages to OpenAI's form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from pyllama.errors import InvalidRequest, Unsupported
from pyllama.interruption import checkpoint

from ..conversation import function_call

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pyllama.results import ModelInfo

    from .file_kinds import Kind
    from .uploads import Upload, UploadStore

MAX_MEDIA_BYTES = 256 * 1024 * 1024
"""Most bytes of all files of one request: they are in memory at once."""

# By the members of a message, in the order in which the model sees them.
_MEDIA: dict[str, Kind] = {"imagePaths": "image", "audioPaths": "audio", "videoPaths": "video"}
_NAMES: dict[Kind, str] = {"image": "pictures", "audio": "sound", "video": "video"}


class MessageReader:
    """Reads the messages of one request.

    Text files are no part of it: their text stands in the content.

    Args:
        uploads: the files that messages may have; a client knows them by handles only.
        info: says what the model takes.

    Attributes:
        names: from the paths of parts to those of the handles that they were made of.
    """

    def __init__(self, uploads: UploadStore, info: ModelInfo) -> None:
        self.names: dict[str, str] = {}
        self._uploads = uploads
        self._info = info
        self._n_bytes = 0

    def read(self, messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return messages as ``Llama.chat_prompt`` takes them.

        Raises:
            UnknownUpload: a message has a file that is not kept.
            InvalidRequest: a file is of another kind, or they are too large together.
            Unsupported: a message has a file that the model cannot take.
        """
        return [self._message(message, f"messages[{i}]") for i, message in enumerate(messages)]

    def _message(self, message: Mapping[str, Any], path: str) -> dict[str, Any]:
        checkpoint()
        read: dict[str, Any] = {"role": message["role"], "content": message.get("content") or ""}
        if message.get("thinking"):
            read["reasoning_content"] = message["thinking"]
        if message.get("tool_calls"):
            read["tool_calls"] = [_call(call) for call in message["tool_calls"]]
            read["content"] = read["content"] or None
        if message.get("toolCallId"):
            read["tool_call_id"] = message["toolCallId"]
        parts = list(self._parts(message, path))
        if parts:
            if read["content"]:
                parts.append({"type": "text", "text": read["content"]})
            read["content"] = parts
        return read

    def _parts(self, message: Mapping[str, Any], path: str) -> Iterator[dict[str, Any]]:
        places = [(name, i) for name in _MEDIA for i in range(len(message.get(name) or ()))]
        for index, (name, i) in enumerate(places):
            place = f"{path}.{name}[{i}]"
            upload = self._uploads.get(message[name][i], place)
            # A page of the older form names a video among the pictures, and says that it is one.
            is_video = upload.kind == "video" and name == "imagePaths" and message.get("isVideo")
            if upload.kind != _MEDIA[name] and not is_video:
                raise InvalidRequest(f"{place} is a file of another kind", param=place)
            self._check_takes(upload.kind, place)
            part = f"{path}.content[{index}]"
            self.names |= {part: place, f"{part}.{upload.kind}": place}
            yield {"type": upload.kind, upload.kind: self._data(upload, place)}

    def _check_takes(self, kind: Kind, place: str) -> None:
        has_vision, has_audio = self._info.has_vision, self._info.has_audio
        if has_audio if kind == "audio" else has_vision:
            return
        takes = "takes" if has_vision or has_audio else "takes text only,"
        raise Unsupported(
            f"{place}: this model {takes} no {_NAMES[kind]}; leave the file out", param=place
        )

    def _data(self, upload: Upload, place: str) -> bytes:
        self._n_bytes += upload.n_bytes
        if self._n_bytes > MAX_MEDIA_BYTES:
            raise InvalidRequest(
                f"{place}: the files of this conversation have more than {MAX_MEDIA_BYTES:,} bytes "
                "together; begin another one",
                param=place,
            )
        return self._uploads.read(upload, place)


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    arguments = orjson.dumps(call.get("arguments") or {}).decode()
    return function_call(call.get("id") or "", call["name"], arguments)
