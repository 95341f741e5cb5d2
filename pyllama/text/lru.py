"""A bounded cache of values that are expensive to make and never change."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")


class LruCache(Generic[Value]):
    """Keeps what was used last; any thread may use it.

    Keys are texts of any length and only their digests are kept. Two threads that miss the same key
    both make the value: nothing is waited for under the lock.

    Args:
        n_max: values that are kept.
    """

    def __init__(self, n_max: int) -> None:
        self._n_max = n_max
        self._values: OrderedDict[bytes, Value] = OrderedDict()
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
                return self._values[digest]
        value = make()
        with self._lock:
            self._values[digest] = value
            while len(self._values) > self._n_max:
                self._values.popitem(last=False)
        return value
