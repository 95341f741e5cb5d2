"""Where the bytes of a part of a message come from."""

from __future__ import annotations

import base64
import binascii
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from pyllama.errors import InvalidMedia, Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyllama.media.fetch import Downloads
    from pyllama.media.kinds import Family
    from pyllama.media.limits import MediaLimits

_DATA_URL = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)
_MAX_URL_HEAD = 1024
_BLANKS = b" \t\n\r\v\f"

# The types of parts: what the part holds, and under which names within the member of that type.
# Those of the HTTP dialects are text; those of the library are objects of Python.
_ENCODED: dict[str, tuple[Family, tuple[str, ...]]] = {
    "image_url": ("picture", ("url",)),
    "input_audio": ("sound", ("data", "url")),
    "input_video": ("video", ("data", "url")),
    "video_url": ("video", ("url",)),
}
_OBJECTS: dict[str, Family] = {"image": "picture", "audio": "sound", "video": "video"}
TYPES = frozenset({*_ENCODED, *_OBJECTS})


class Source:
    """A part of a message, before what it holds is read.

    Args:
        part: the part; its type is one of :data:`TYPES`.
        path: where it stands in the request.
    """

    def __init__(self, part: Mapping[str, Any], path: str) -> None:
        kind = part["type"]
        value: Any = part.get(kind)
        path = f"{path}.{kind}"
        self._is_object = kind in _OBJECTS
        if self._is_object:
            self.family = _OBJECTS[kind]
        else:
            self.family, names = _ENCODED[kind]
            if hasattr(value, "get"):
                name = next((name for name in names if value.get(name) is not None), names[0])
                value, path = value.get(name), f"{path}.{name}"
        self.path = path
        """The path of the member that holds the file."""
        self._value = value

    def read(self, limits: MediaLimits, downloads: Downloads | None) -> bytes | Image.Image:
        """Return what the part holds; may wait for another server.

        Args:
            limits: what is too large.
            downloads: fetches what is the address of a file; None refuses it.

        Raises:
            InvalidMedia: it holds no file, or one that is too large; ``param`` is :attr:`path`.
            Unsupported: it is the address of a file elsewhere, and none is fetched.
        """
        if self._is_object:
            return _of_object(self._value, self.path, limits)
        return _of_text(self._value, self.path, limits, downloads)


def _of_object(value: Any, path: str, limits: MediaLimits) -> bytes | Image.Image:
    if isinstance(value, Image.Image):
        return value
    if isinstance(value, (str, os.PathLike)):
        file = Path(value)
        try:
            _check_length(file.stat().st_size, path, limits)
            return file.read_bytes()
        except OSError as error:
            raise InvalidMedia(f"{path} cannot be read: {error}", param=path) from error
    if isinstance(value, (bytes, bytearray, memoryview)):
        _check_length(len(value), path, limits)
        return bytes(value)
    raise InvalidMedia(f"{path} must be bytes or the path of a file", param=path)


def _of_text(value: Any, path: str, limits: MediaLimits, downloads: Downloads | None) -> bytes:
    if not isinstance(value, str):
        raise InvalidMedia(f"{path} must be a data: URL or base64 text", param=path)
    match = _DATA_URL.match(value, 0, _MAX_URL_HEAD)
    if match is None and ":" in value[:32]:
        return _of_address(value, path, limits, downloads)
    text = value[match.end() :] if match else value
    # 4 letters hold 3 bytes.
    _check_length(len(text) * 3 // 4, path, limits)
    try:
        # Not by split: what is between blanks may be very many small strings.
        return base64.b64decode(text.encode("ascii").translate(None, _BLANKS), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidMedia(f"{path} is no base64: {error}", param=path) from error


def _of_address(url: str, path: str, limits: MediaLimits, downloads: Downloads | None) -> bytes:
    if downloads is None:
        raise Unsupported(
            f"{path} is an address, and none is fetched; send a data: URL with the file in base64, "
            "or start the server with --media-urls on",
            param=path,
        )
    data = downloads.fetch(url)
    _check_length(len(data), path, limits)
    return data


def _check_length(n_bytes: int, path: str, limits: MediaLimits) -> None:
    if n_bytes > limits.max_bytes:
        raise InvalidMedia(
            f"{path} has {n_bytes:,} bytes, more than {limits.max_bytes:,}", param=path
        )
    if n_bytes < 1:
        raise InvalidMedia(f"{path} is empty", param=path)
