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

    from pyllama.media.kinds import Family
    from pyllama.media.limits import MediaLimits

_DATA_URL = re.compile(r"data:[^,;]*(?:;[^,;]*)*;base64,", re.IGNORECASE)

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


def read_source(
    part: Mapping[str, Any], path: str, limits: MediaLimits
) -> tuple[Family, bytes | Image.Image, str]:
    """Return what a part is said to be, what it holds, and the path of the member that held it.

    Raises:
        InvalidMedia: it holds no file, or one that is too large; ``param`` is that path.
        Unsupported: it is the address of a file elsewhere.
    """
    kind = part["type"]
    if kind in _OBJECTS:
        path = f"{path}.{kind}"
        return _OBJECTS[kind], _of_object(part.get(kind), path, limits), path
    family, names = _ENCODED[kind]
    value: Any = part.get(kind)
    path = f"{path}.{kind}"
    if hasattr(value, "get"):
        name = next((name for name in names if value.get(name) is not None), names[0])
        value, path = value.get(name), f"{path}.{name}"
    return family, _of_text(value, path, limits), path


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


def _of_text(value: Any, path: str, limits: MediaLimits) -> bytes:
    if not isinstance(value, str):
        raise InvalidMedia(f"{path} must be a data: URL or base64 text", param=path)
    match = _DATA_URL.match(value)
    if match is None and ":" in value[:32]:
        raise Unsupported(
            f"{path} is an address, and none is fetched; send a data: URL with the file in base64",
            param=path,
        )
    text = value[match.end() :] if match else value
    # 4 letters hold 3 bytes.
    _check_length(len(text) * 3 // 4, path, limits)
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidMedia(f"{path} is no base64: {error}", param=path) from error


def _check_length(n_bytes: int, path: str, limits: MediaLimits) -> None:
    if n_bytes > limits.max_bytes:
        raise InvalidMedia(
            f"{path} has {n_bytes:,} bytes, more than {limits.max_bytes:,}", param=path
        )
    if n_bytes < 1:
        raise InvalidMedia(f"{path} is empty", param=path)
