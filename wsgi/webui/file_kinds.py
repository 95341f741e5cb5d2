"""What a file is, by its content; what its name says of it must not contradict that."""

from __future__ import annotations

import codecs
import threading
import warnings
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal

from PIL import Image

from pyllama import media
from pyllama.errors import InvalidRequest

from .uploads import too_large

if TYPE_CHECKING:
    from pathlib import Path

Kind = Literal["text", "image", "audio", "video"]

LIMITS = media.MediaLimits()
"""What a prompt can hold of media: more is refused before it is kept."""

_KINDS: dict[media.Family, Kind] = {"picture": "image", "sound": "audio", "video": "video"}
_CHUNK_BYTES = 1 << 20
_HEAD_BYTES = 64

# The kinds that names of files promise; every other name promises nothing.
_PROMISES: dict[Kind, str] = {
    "image": "png jpg jpeg gif webp bmp heic heif avif",
    "audio": "mp3 wav ogg oga opus flac m4a m4b mka weba",
    "video": "mp4 m4v mov avi mkv webm",
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
        HTTPContentTooLarge: it is media, of more bytes than a prompt can hold.
        InvalidRequest: it is of no type that is taken, is broken, claims to be larger than any
            picture that can be used, or is not what its name says.
    """
    with file.open("rb") as source:
        found = media.kind_of(source.read(_HEAD_BYTES))
    kinds: list[Kind] = [_KINDS[family] for family in found.families] if found else ["text"]
    if found is not None and not kinds:
        raise InvalidRequest(
            f"{found.name} is not read here; send a picture as {media.FORMATS['picture']}",
            param="file",
        )
    promised = _KIND_OF_SUFFIX.get(PurePath(name).suffix.lower())
    if promised is not None and promised not in kinds:
        raise InvalidRequest(
            f"{name[:80]!r} is named like {_a(promised)}, but its content is not", param="file"
        )
    if found is None:
        _check_text(file)
    elif file.stat().st_size > LIMITS.max_bytes:
        raise too_large(LIMITS.max_bytes)
    elif found.families == ("picture",):
        _check_picture(file, found.name)
    return promised or kinds[0]


def encoding_of(head: bytes) -> str:
    """Return the encoding of a text by its first bytes: UTF-16 if it says so, else UTF-8."""
    return "utf-16" if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"


def _check_picture(file: Path, form: str) -> None:
    """Read the header of a picture, and the checksums of a PNG; no pixel is decoded."""
    try:
        with _warnings_lock, warnings.catch_warnings():
            # The size is judged below, by a limit of ours.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=[form]) as picture:
                width, height = picture.size
                if width * height <= LIMITS.max_pixels:
                    picture.verify()
    except Image.DecompressionBombError:
        width = height = LIMITS.max_pixels
    except Exception as exc:
        raise InvalidRequest(
            f"the picture is broken; send {media.FORMATS['picture']}",
            param="file",
        ) from exc
    if width * height > LIMITS.max_pixels:
        raise InvalidRequest(
            f"the picture has too many pixels; at most {LIMITS.max_pixels:,} are taken",
            param="file",
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
        "the file is of no type that is taken; send text in UTF-8, a picture "
        f"({media.FORMATS['picture']}), sound ({media.FORMATS['sound']}) or video "
        f"({media.FORMATS['video']})",
        param="file",
    )


def _a(kind: Kind) -> str:
    return {"text": "a text", "image": "a picture", "audio": "sound", "video": "a video"}[kind]
