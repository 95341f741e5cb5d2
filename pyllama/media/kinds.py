"""Which kind of file some bytes are, by how they begin."""

from __future__ import annotations

import re
from typing import Literal

Family = Literal["picture", "sound", "video"]

_MAGIC: tuple[tuple[bytes, Family, str], ...] = (
    (rb"\x89PNG\r\n\x1a\n", "picture", "PNG"),
    (rb"\xff\xd8\xff", "picture", "JPEG"),
    (rb"RIFF....WEBP", "picture", "WEBP"),
    (rb"GIF8[79]a", "picture", "GIF"),
    (rb"BM", "picture", "BMP"),
    (rb"RIFF....WAVE", "sound", "wav"),
    (rb"fLaC", "sound", "flac"),
    (rb"ID3|\xff[\xe0-\xff]", "sound", "mp3"),
    (rb"....ftyp(?!heic|heix|mif1|avif|M4A)", "video", "mp4"),
    (rb"\x1aE\xdf\xa3", "video", "matroska"),
    (rb"RIFF....AVI ", "video", "avi"),
)

FORMATS: dict[Family, str] = {
    "picture": "PNG, JPEG, WebP, GIF or BMP",
    "sound": "WAV, MP3 or FLAC",
    "video": "MP4, MOV, WebM, Matroska or AVI",
}


def kind_of(data: bytes) -> tuple[Family, str] | None:
    """Return the family and the format's name, as the library that reads it knows it."""
    for pattern, family, name in _MAGIC:
        if re.match(pattern, data, re.DOTALL):
            return family, name
    return None
