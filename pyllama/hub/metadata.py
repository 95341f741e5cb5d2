"""The key-value pairs of a GGUF file, with their types."""

from __future__ import annotations

import mmap
from struct import Struct, unpack_from
from typing import TYPE_CHECKING, Any

from pyllama.hub.gguf import check_gguf

if TYPE_CHECKING:
    from pathlib import Path

# gguf_type to the format of one value; 8 is a string, 9 an array.
_FORMATS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
_STRING, _ARRAY = 8, 9
_HEAD_BYTES = 24
_N_KEYS = (16, Struct("<Q"))
_U32 = Struct("<I")
_U64 = Struct("<Q")
_ARRAY_HEAD = Struct("<IQ")


def read_metadata(path: Path, *, arrays: bool = False) -> dict[str, Any]:
    """Return what a GGUF file says of its model: numbers, booleans and strings by their keys.

    Args:
        path: the file.
        arrays: whether arrays are read; if not, they are None: a vocabulary alone may be megabytes.

    Raises:
        ModelNotFound: there is no such file.
        ModelLoadError: it cannot be read, or is damaged.
    """
    # What is past the end, or too much, is refused there: nothing below looks for it.
    check_gguf(path)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _Pairs(data, arrays=arrays).read()


class _Pairs:
    """A walk over the pairs of a sound header."""

    def __init__(self, data: mmap.mmap, *, arrays: bool) -> None:
        self._data = data
        self._arrays = arrays
        self._pos = _HEAD_BYTES

    def read(self) -> dict[str, Any]:
        offset, layout = _N_KEYS
        (n_keys,) = layout.unpack_from(self._data, offset)
        return dict(self._pair() for _ in range(n_keys))

    def _pair(self) -> tuple[str, Any]:
        name = self._string()
        (kind,) = self._unpack(_U32)
        if kind == _STRING:
            return name, self._string()
        if kind != _ARRAY:
            return name, self._numbers(kind, 1)[0]
        item_kind, count = self._unpack(_ARRAY_HEAD)
        if item_kind != _STRING:
            values: list[Any] = self._numbers(item_kind, count)
        elif self._arrays:
            values = [self._string() for _ in range(count)]
        else:
            for _ in range(count):
                self._skip_string()
            values = []
        return name, values if self._arrays else None

    def _numbers(self, kind: int, count: int) -> list[Any]:
        layout = f"<{count}{_FORMATS[kind]}"
        values = unpack_from(layout, self._data, self._pos)
        self._pos += Struct(layout).size
        return list(values)

    def _string(self) -> str:
        start = self._pos + _U64.size
        self._skip_string()
        return self._data[start : self._pos].decode("utf-8", "replace")

    def _skip_string(self) -> None:
        (length,) = _U64.unpack_from(self._data, self._pos)
        self._pos += _U64.size + length

    def _unpack(self, layout: Struct) -> tuple[int, ...]:
        values = layout.unpack_from(self._data, self._pos)
        self._pos += layout.size
        return values
