"""Answers that are kept, so that a later request can go on from them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from pyllama.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

Item = dict[str, Any]

MAX_RESPONSES = 1024
"""Most answers that are kept; the one that was asked for longest ago goes first."""

MAX_BYTES = 64 * 1024 * 1024
"""Most bytes of JSON that all of them may have together, the conversations before them included."""


class NotStored(InvalidRequest):
    """An id that names nothing that is kept: deleted, forgotten, never kept, or never there."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An answer, and the whole conversation up to its end."""

    response: Mapping[str, Any]
    items: tuple[Item, ...]
    """All input since the first answer of the conversation, and all output."""


class ResponseStore:
    """Keeps answers in memory, bounded by number and size; any thread may use it.

    Args:
        max_responses: how many answers.
        max_bytes: how much JSON.
    """

    def __init__(self, max_responses: int = MAX_RESPONSES, max_bytes: int = MAX_BYTES) -> None:
        self._max_responses = max_responses
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[Stored, int]] = OrderedDict()
        self._n_bytes = 0

    def __len__(self) -> int:
        """Return how many answers are kept."""
        return len(self._kept)

    def put(self, stored: Stored) -> None:
        """Keep an answer; others go to make room, and one that has no room at all is not kept."""
        n_bytes = len(orjson.dumps([stored.response, stored.items]))
        with self._lock:
            self._kept[stored.response["id"]] = (stored, n_bytes)
            self._n_bytes += n_bytes
            while len(self._kept) > self._max_responses or self._n_bytes > self._max_bytes:
                _, (_, n_freed) = self._kept.popitem(last=False)
                self._n_bytes -= n_freed

    def get(self, response_id: str, *, param: str | None = None) -> Stored:
        """Return an answer. Raises NotStored, which names the field ``param``."""
        with self._lock:
            if response_id in self._kept:
                self._kept.move_to_end(response_id)
                return self._kept[response_id][0]
        raise _not_stored("response", response_id, param)

    def delete(self, response_id: str) -> None:
        """Forget an answer. Raises NotStored."""
        with self._lock:
            if response_id in self._kept:
                self._n_bytes -= self._kept.pop(response_id)[1]
                return
        raise _not_stored("response", response_id, None)

    def item(self, item_id: str, *, param: str) -> Item:
        """Return an item of any conversation that is kept. Raises NotStored."""
        with self._lock:
            for stored, _ in reversed(self._kept.values()):
                for item in stored.items:
                    if item.get("id") == item_id:
                        return item
        raise _not_stored("item", item_id, param)


def _not_stored(kind: str, name: str, param: str | None) -> NotStored:
    start = f"{param}: " if param else ""
    return NotStored(f"{start}no {kind} {name[:80]!r} is stored here", param=param)
