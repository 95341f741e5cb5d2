"""A bounded cache of values that are expensive to make and never change."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")

MAX_KEY_CHARS = 4 * 1024 * 1024
"""Most characters of all keys together: what is made of a request is some times as large as it, and
a few large requests must not fill the memory for good."""


class LruCache(Generic[Value]):
    """Keeps what was used last; any thread may use it.

    Keys are texts of any length and only their digests are kept. Two threads that miss the same key
    both make the value: nothing is waited for under the lock.

    Args:
        n_max: values that are kept.
        max_key_chars: length of all their keys together.
    """

    def __init__(self, n_max: int, *, max_key_chars: int = MAX_KEY_CHARS) -> None:
        self._n_max = n_max
        self._max_key_chars = max_key_chars
        self._n_key_chars = 0
        self._values: OrderedDict[bytes, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many values are kept."""
        return len(self._values)

    def get(self, key: str, make: Callable[[], Value]) -> Value:
        """Return the value of a key, made where there is none. What ``make`` raises is not kept."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
        with self._lock:
            if digest in self._values:
                self._values.move_to_end(digest)
                return self._values[digest][0]
        value = make()
        with self._lock:
            _, n_before = self._values.pop(digest, (None, 0))
            self._values[digest] = value, len(key)
            self._n_key_chars += len(key) - n_before
            while len(self._values) > self._n_max or self._n_key_chars > self._max_key_chars:
                _, (_, n_freed) = self._values.popitem(last=False)
                self._n_key_chars -= n_freed
        return value
