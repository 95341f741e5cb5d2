"""What a file is, by its content; what its name says of it must not contradict that."""

from __future__ import annotations

import codecs
import threading
import warnings
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

from PIL import Image

from pyllama.errors import InvalidRequest

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal["text", "image", "audio", "video"]

MAX_PIXELS = 50_000_000
"""Most pixels of a picture: some kilobytes can claim to be billions."""

_PICTURES = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif")
_SOUND_BRANDS = (b"M4A ", b"M4B ")
_CHUNK_BYTES = 1 << 20

# The kinds that names of files promise; every other name promises nothing.
_PROMISES: dict[Kind, str] = {
    "image": "png jpg jpeg gif webp bmp heic heif",
    "audio": "mp3 wav ogg flac m4a",
    "video": "mp4 mov avi mkv webm",
    "text": (
        "txt csv json xml md log py js ts cs java cpp c h html css yaml yml toml ini cfg sh bat "
        "ps1 rb go rs swift kt sql r m tex rtf"
    ),
}
_KIND_OF_SUFFIX = {
    f".{suffix}": kind for kind, suffixes in _PROMISES.items() for suffix in suffixes.split()
}

# Python's warning filters are shared by all threads.
_warnings_lock = threading.Lock()


def check_name(name: str) -> None:
    """Raise InvalidRequest for what is no plain name of a file."""
    if not name or len(name) > 255 or name in {".", ".."}:
        raise InvalidRequest("the file needs a name of 1 to 255 characters", param="file")
    if any(char in "/\\" or not char.isprintable() for char in name):
        raise InvalidRequest(
            f"{name[:80]!r} is no name of a file; send one without folders", param="file"
        )


def kind_of(file: Path, name: str) -> Kind:
    """Return what a file is.

    Args:
        file: where it lies.
        name: what its owner calls it.

    Raises:
        InvalidRequest: it is of no type that is taken, is broken, claims to be larger than any
            picture that can be used, or is not what its name says.
    """
    with file.open("rb") as source:
        head = source.read(64)
    kind = _kind_of_head(head)
    promised = _KIND_OF_SUFFIX.get(PurePath(name).suffix.lower())
    if promised is not None and promised != (kind or "text"):
        raise InvalidRequest(
            f"{name[:80]!r} is named like {_a(promised)}, but its content is not", param="file"
        )
    if kind == "image":
        _check_picture(file)
    elif kind is None:
        _check_text(file)
    return kind or "text"


def encoding_of(head: bytes) -> str:
    """Return the encoding of a text by its first bytes: UTF-16 if it says so, else UTF-8."""
    return "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def _kind_of_head(head: bytes) -> Kind | None:
    if head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")):
        return "image"
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return "image"
    if head.startswith(b"RIFF"):
        kinds: dict[bytes, Kind] = {b"WEBP": "image", b"WAVE": "audio", b"AVI ": "video"}
        return kinds.get(head[8:12])
    if head.startswith((b"ID3", b"OggS", b"fLaC")) or _is_mpeg_frame(head):
        return "audio"
    if head[4:8] == b"ftyp":
        return _kind_of_brand(head[8:12])
    return "video" if head.startswith(b"\x1a\x45\xdf\xa3") else None


def _kind_of_brand(brand: bytes) -> Kind:
    if brand in _HEIF_BRANDS:
        raise InvalidRequest(
            "pictures of this type are not read here; send PNG, JPEG, GIF, WebP or BMP",
            param="file",
        )
    return "audio" if brand in _SOUND_BRANDS else "video"


def _is_mpeg_frame(head: bytes) -> bool:
    # The sync bits of a sound frame; the mark of UTF-16 looks nearly like them.
    is_marked = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and not is_marked


def _check_picture(file: Path) -> None:
    """Read the header of a picture, and the checksums of a PNG; no pixel is decoded."""
    try:
        with _warnings_lock, warnings.catch_warnings():
            # The size is judged below, by a limit of ours.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=_PICTURES) as picture:
                width, height = picture.size
                if width * height <= MAX_PIXELS:
                    picture.verify()
    except Image.DecompressionBombError:
        width = height = MAX_PIXELS
    except Exception as exc:
        raise InvalidRequest(
            "the picture is broken, or of a type that is not read here; send PNG, JPEG, GIF, "
            "WebP or BMP",
            param="file",
        ) from exc
    if width * height > MAX_PIXELS:
        raise InvalidRequest(
            f"the picture has too many pixels; at most {MAX_PIXELS} are taken", param="file"
        )


def _check_text(file: Path) -> None:
    """Read a text to its end, a piece at a time."""
    with file.open("rb") as source:
        decoder = codecs.getincrementaldecoder(encoding_of(source.read(2)))()
        source.seek(0)
        try:
            while chunk := source.read(_CHUNK_BYTES):
                if "\0" in decoder.decode(chunk):
                    raise _not_taken()
            decoder.decode(b"", final=True)
        except UnicodeError:
            raise _not_taken() from None


def _not_taken() -> InvalidRequest:
    return InvalidRequest(
        "the file is of no type that is taken; send text in UTF-8, a picture (PNG, JPEG, GIF, "
        "WebP, BMP), sound (WAV, MP3, Ogg, FLAC, M4A) or video (MP4, MOV, AVI, MKV, WebM)",
        param="file",
    )


def _a(kind: Kind) -> str:
    return {"text": "a text", "image": "a picture", "audio": "sound", "video": "a video"}[kind]
