"""Which kind of file some bytes are, by how they begin."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Family = Literal["picture", "sound", "video"]


class FileKind(NamedTuple):
    """What a file is."""

    families: tuple[Family, ...]
    """What it may hold, the likeliest first; nothing where it is known, but not read here."""
    name: str
    """The format, as the library that reads it knows it."""


_PICTURE: tuple[Family, ...] = ("picture",)
_SOUND: tuple[Family, ...] = ("sound",)
_VIDEO: tuple[Family, ...] = ("video",)
# Telephones and browsers record sound alone into what holds films elsewhere.
_FILM: tuple[Family, ...] = ("video", "sound")

_MAGIC: tuple[tuple[bytes, FileKind], ...] = (
    (rb"\x89PNG\r\n\x1a\n", FileKind(_PICTURE, "PNG")),
    (rb"\xff\xd8\xff", FileKind(_PICTURE, "JPEG")),
    (rb"RIFF....WEBP", FileKind(_PICTURE, "WEBP")),
    (rb"GIF8[79]a", FileKind(_PICTURE, "GIF")),
    # A text may begin with these two letters.
    (rb"BM....\0{4}", FileKind(_PICTURE, "BMP")),
    (rb"....ftyp(?:hei[cxms]|hev[cx]|mif1|msf1|avi[fs])", FileKind((), "HEIC or AVIF")),
    (rb"RIFF....WAVE", FileKind(_SOUND, "wav")),
    (rb"fLaC", FileKind(_SOUND, "flac")),
    (rb"OggS", FileKind(_SOUND, "ogg")),
    # The mark of UTF-16 is no sound.
    (rb"ID3|\xff(?!\xfe)[\xe0-\xff]", FileKind(_SOUND, "mp3")),
    (rb"....ftypM4[AB] ", FileKind(_SOUND, "mp4")),
    (rb"....ftyp", FileKind(_FILM, "mp4")),
    (rb"\x1aE\xdf\xa3", FileKind(_FILM, "matroska")),
    (rb"RIFF....AVI ", FileKind(_VIDEO, "avi")),
)

FORMATS: dict[Family, str] = {
    "picture": "PNG, JPEG, WebP, GIF or BMP",
    "sound": "WAV, MP3, FLAC, Ogg, M4A or WebM",
    "video": "MP4, MOV, WebM, Matroska or AVI",
}

_NAMES_OF_SOUND = (".m4a", ".m4b", ".mka", ".weba")


def kind_of(data: bytes) -> FileKind | None:
    """Return what a file is, by its first bytes (16 are enough); None where nobody here knows."""
    for pattern, kind in _MAGIC:
        if re.match(pattern, data, re.DOTALL):
            return kind
    return None


def family_of(kind: FileKind, name: str) -> Family | None:
    """Return what a file holds, by its name where its content may hold several; None for nothing.

    Args:
        kind: what its content says.
        name: what its owner calls it.
    """
    if "sound" in kind.families and name.lower().endswith(_NAMES_OF_SOUND):
        return "sound"
    return kind.families[0] if kind.families else None
