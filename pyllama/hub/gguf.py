"""A quick look at a GGUF file before llama.cpp opens it: is it one, and is all of it there?

Only the header is read (through a memory map): key-value pairs and tensor infos, no tensor data.
The cost is the walk over the vocabulary's strings, whose lengths are in the file.
PERF: 500,000 strings take 35 to 40 ms, and the look for repeated tokens twice that again.
"""

from __future__ import annotations

import mmap
import os
import stat
from pathlib import Path
from struct import Struct
from typing import NoReturn

from pyllama.errors import ModelLoadError, ModelNotFound
from pyllama.hub.ggml_types import TENSOR_TYPES

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_DEFAULT_ALIGNMENT = 32
_MAX_DIMS = 4
# Hostile counts end here. Real files have up to a few thousand tensors, a few hundred keys and
# under a million strings; the walk over this many strings takes about a second.
_MAX_ITEMS = 1 << 20
_MAX_STRINGS = 1 << 24
# Vocabularies whose tokens llama.cpp tells apart by more than their text.
_MAY_REPEAT_TOKENS = {b"hybriddna"}

_U32 = Struct("<I")
_U64 = Struct("<Q")
_HEAD = Struct("<4sIQQ")
_TYPE_AND_OFFSET = Struct("<IQ")
_ARRAY_HEAD = Struct("<IQ")

_STRING, _ARRAY = 8, 9
# Bytes of one value, by gguf_type: u8 i8 u16 i16 u32 i32 f32 bool, (string, array), u64 i64 f64.
_SCALARS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_GGUF_U32 = 4

# What people hand over by mistake, by its first bytes.
_LOOKALIKES = {
    b"version https://git-lfs": "It is a git-lfs pointer: run `git lfs pull` in its repository.",
    b"<": "It looks like a web page: download the file itself, not the page about it.",
    b"PK\x03\x04": "It looks like a zip archive or PyTorch checkpoint: convert it to GGUF.",
    b"tjgg": "It is in llama.cpp's old format (before GGUF): convert it anew.",
    b"fmgg": "It is in llama.cpp's old format (before GGUF): convert it anew.",
    b"lmgg": "It is in llama.cpp's old format (before GGUF): convert it anew.",
}
_DOWNLOAD_AGAIN = "Download it again."
_SAFETENSORS_HEAD = 8


class _Malformed(Exception):
    """The header contradicts itself; the text says how."""


class _Truncated(Exception):
    """The header points past the end of the file; carries the bytes needed at least."""

    def __init__(self, n_bytes: int) -> None:
        self.n_bytes = n_bytes
        super().__init__(n_bytes)


def check_gguf(path: Path) -> None:
    """Refuse a file that is no GGUF file, is damaged, or ends before its tensors do.

    Tensors of types that this version does not know are not counted: llama.cpp has the last word.

    Raises:
        ModelNotFound: there is no such file.
        ModelLoadError: the file cannot be read, or llama.cpp would not load it.
    """
    try:
        # Looked at first: opening a pipe waits for somebody to write to it.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ModelLoadError(str(path), "this is not a file.", "Name a .gguf file.")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < _HEAD.size:
                _refuse_head(path, file.read(_HEAD.size))
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                _check(path, data, size)
    except FileNotFoundError as error:
        raise ModelNotFound(str(path), "there is no such file.", "Check the path.") from error
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}."
        raise ModelLoadError(str(path), reason, "Check the file's permissions.") from error


def _check(path: Path, data: mmap.mmap, size: int) -> None:
    magic, version, n_tensors, n_keys = _HEAD.unpack_from(data)
    if magic != _MAGIC:
        _refuse_head(path, data[:32])
    if version not in _VERSIONS:
        _refuse_version(path, version)
    try:
        needed = _Header(data, size).end_of_data(n_tensors, n_keys)
    except _Malformed as error:
        raise ModelLoadError(str(path), f"damaged: {error}.", _DOWNLOAD_AGAIN) from error
    except _Truncated as error:
        reason = f"truncated: needs at least {error.n_bytes} bytes, has {size}."
        raise ModelLoadError(str(path), reason, _DOWNLOAD_AGAIN) from error
    if needed > size:
        reason = f"truncated: needs {needed} bytes, has {size}."
        raise ModelLoadError(str(path), reason, _DOWNLOAD_AGAIN)


def _refuse_head(path: Path, head: bytes) -> NoReturn:
    """Say what a file without a whole GGUF header seems to be."""
    if not head:
        raise ModelLoadError(str(path), "the file is empty.", _DOWNLOAD_AGAIN)
    if head.startswith(_MAGIC[: len(head)]):
        reason = f"truncated: needs at least {_HEAD.size} bytes, has {len(head)}."
        raise ModelLoadError(str(path), reason, _DOWNLOAD_AGAIN)
    remedy = next(
        (text for start, text in _LOOKALIKES.items() if head.lstrip().startswith(start)),
        "Name a .gguf file.",
    )
    if head[_SAFETENSORS_HEAD : _SAFETENSORS_HEAD + 1] == b"{":
        remedy = "It looks like a safetensors file: convert it to GGUF."
    raise ModelLoadError(str(path), f"not a GGUF file: starts with {head[:8]!r}.", remedy)


def _refuse_version(path: Path, version: int) -> NoReturn:
    if version & 0xFFFF == 0:
        raise ModelLoadError(
            str(path), "written for the other byte order.", "Get the file for this machine."
        )
    raise ModelLoadError(
        str(path),
        f"GGUF version {version}; versions 2 and 3 are read.",
        "Convert it anew." if version < min(_VERSIONS) else "Upgrade pyllama.",
    )


class _Header:
    """A walk over the header, from its first key to its last tensor info.

    Holds a position and, once seen, the alignment. No value but the alignment is looked at.
    """

    def __init__(self, data: mmap.mmap, size: int) -> None:
        self._data = data
        self._size = size
        self._pos = _HEAD.size
        self._alignment = _DEFAULT_ALIGNMENT
        self._n_strings = 0
        self._tokenizer = b""
        self._repeated_token: bytes | None = None

    def end_of_data(self, n_tensors: int, n_keys: int) -> int:
        """Walk the header; return how many bytes the file must have."""
        _bound(n_keys, _MAX_ITEMS, "keys")
        _bound(n_tensors, _MAX_ITEMS, "tensors")
        for _ in range(n_keys):
            self._skip_key()
        if self._repeated_token is not None and self._tokenizer not in _MAY_REPEAT_TOKENS:
            raise _Malformed(f"the vocabulary holds {_shown(self._repeated_token)} twice")
        end = 0
        for _ in range(n_tensors):
            end = max(end, self._tensor_end())
        if n_tensors == 0:
            return self._pos
        padded = -(-self._pos // self._alignment) * self._alignment
        return padded + end

    def _skip_key(self) -> None:
        name = self._string()
        value_type = self._u32()
        if name == b"general.alignment" and value_type == _GGUF_U32:
            self._alignment = self._u32()
            if self._alignment == 0 or self._alignment & (self._alignment - 1):
                raise _Malformed(f"an alignment of {self._alignment} is not a power of 2")
        elif name == b"tokenizer.ggml.model" and value_type == _STRING:
            self._tokenizer = self._string()
        elif value_type == _ARRAY:
            item_type, count = self._unpack(_ARRAY_HEAD)
            start = self._pos
            self._skip_values(item_type, count, name)
            if name == b"tokenizer.ggml.tokens" and item_type == _STRING:
                self._find_repeated(start, count)
        else:
            self._skip_values(value_type, 1, name)

    def _skip_values(self, value_type: int, count: int, name: bytes) -> None:
        if value_type == _STRING:
            self._skip_strings(count)
        elif value_type in _SCALARS:
            self._advance(count * _SCALARS[value_type])
        else:
            raise _Malformed(f"key {_shown(name)} has a value of unknown type {value_type}")

    def _skip_strings(self, count: int) -> None:
        """Step over strings, each a length and as many bytes; every length is a step's size."""
        self._n_strings += count
        _bound(self._n_strings, _MAX_STRINGS, "strings")
        data, pos, last = self._data, self._pos, self._size - _U64.size
        unpack_from = _U64.unpack_from
        # PERF: one test and one unpack a string; a slice and int.from_bytes take twice as long.
        for _ in range(count):
            if pos > last:
                raise _Truncated(pos + _U64.size)
            (length,) = unpack_from(data, pos)
            pos += length + 8
        self._pos = pos
        self._advance(0)

    def _find_repeated(self, pos: int, count: int) -> None:
        """Look for a token that occurs twice: llama.cpp ends the process on it."""
        data, unpack_from = self._data, _U64.unpack_from
        seen: set[bytes] = set()
        for _ in range(count):
            (length,) = unpack_from(data, pos)
            token = data[pos + 8 : pos + 8 + length]
            if token in seen:
                self._repeated_token = token
                return
            # Empty ones get names of their own.
            if token:
                seen.add(token)
            pos += length + 8

    def _tensor_end(self) -> int:
        """Read one tensor info; return where its data ends, counted from the data's start."""
        name = self._string()
        n_dims = self._u32()
        if n_dims > _MAX_DIMS:
            raise _Malformed(f"tensor {_shown(name)} has {n_dims} dimensions")
        n_elements = 1
        for _ in range(n_dims):
            n_elements *= self._unpack(_U64)[0]
        type_id, offset = self._unpack(_TYPE_AND_OFFSET)
        if type_id not in TENSOR_TYPES:
            return 0
        n_block_elements, n_block_bytes = TENSOR_TYPES[type_id]
        n_bytes: int = n_elements // n_block_elements * n_block_bytes
        return int(offset) + n_bytes

    def _string(self) -> bytes:
        (length,) = self._unpack(_U64)
        start = self._pos
        self._advance(length)
        # Names are short; a long one is skipped whole and shown cut.
        return self._data[start : min(self._pos, start + 80)]

    def _u32(self) -> int:
        value: int = self._unpack(_U32)[0]
        return value

    def _unpack(self, layout: Struct) -> tuple[int, ...]:
        start = self._pos
        self._advance(layout.size)
        return layout.unpack_from(self._data, start)

    def _advance(self, n_bytes: int) -> None:
        end = self._pos + n_bytes
        if end > self._size:
            raise _Truncated(end)
        self._pos = end


def _bound(count: int, limit: int, what: str) -> None:
    if count > limit:
        raise _Malformed(f"it claims {count} {what}")


def _shown(name: bytes) -> str:
    return repr(name.decode("utf-8", "replace"))
