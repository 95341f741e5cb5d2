"""The files of the page in memory: each with its type, its compressed form and its tag."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

INDEX = "index.html"
# Where the page's text leaves room for what is known only here.
_VERSION_MARK = b"{{version}}"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file as it is sent."""

    media_type: str
    data: bytes
    packed: bytes
    """The same, gzipped."""
    etag: str
    """Of ``data``, without quotes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The page and all that it is made of."""

    version: str
    """Changes with any of the files; part of their addresses, so that a browser may keep them
    for good and never mixes two versions."""
    index: File
    parts: Mapping[str, File]
    """By name: scripts, style sheets, the icon."""


def load_files() -> Files:
    """Read the files that lie beside this module; nothing else can ever be served."""
    texts = {
        entry.name: entry.read_bytes()
        for entry in resources.files(__package__).joinpath("static").iterdir()
        if entry.is_file() and _suffix(entry.name) in _TYPES
    }
    digest = hashlib.sha256()
    for name, data in sorted(texts.items()):
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    version = digest.hexdigest()[:12]
    index = texts.pop(INDEX).replace(_VERSION_MARK, version.encode())
    parts = {name: _file(name, data) for name, data in texts.items()}
    return Files(version=version, index=_file(INDEX, index), parts=parts)


def _file(name: str, data: bytes) -> File:
    return File(
        media_type=_TYPES[_suffix(name)],
        data=data,
        packed=gzip.compress(data, mtime=0),
        etag=hashlib.sha256(data).hexdigest()[:16],
    )


def _suffix(name: str) -> str:
    return name[name.rfind(".") :]
