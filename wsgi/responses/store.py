"""Answers that are kept, so that a later request can go on from them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from pyllama.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


class _Items:
    """The items of all conversations that are kept, by their ids.

    A conversation is kept with each of its answers, and a request may refer to all of its items.
    """

    def __init__(self) -> None:
        # By identity: clients choose ids too, so that two items may have the same. With each item
        # is noted how many conversations it is in.
        self._found: dict[str, dict[int, tuple[Item, int]]] = {}

    def add(self, items: Sequence[Item]) -> None:
        """Note the items of a conversation."""
        for item in items:
            if isinstance(name := item.get("id"), str):
                same = self._found.setdefault(name, {})
                _, n_before = same.get(id(item), (item, 0))
                same[id(item)] = (item, n_before + 1)

    def remove(self, items: Sequence[Item]) -> None:
        """Forget those that are in no other conversation."""
        for item in items:
            if isinstance(name := item.get("id"), str):
                same = self._found[name]
                _, n_before = same[id(item)]
                if n_before > 1:
                    same[id(item)] = (item, n_before - 1)
                    continue
                del same[id(item)]
                if not same:
                    del self._found[name]

    def find(self, name: str) -> Item | None:
        """Return the item of an id, the youngest if there are several."""
        same = self._found.get(name)
        return next(reversed(same.values()))[0] if same else None


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
        self._items = _Items()

    def __len__(self) -> int:
        """Return how many answers are kept."""
        return len(self._kept)

    def put(self, stored: Stored) -> None:
        """Keep an answer; others go to make room, and one that has no room at all is not kept."""
        n_bytes = len(orjson.dumps([stored.response, stored.items]))
        with self._lock:
            self._kept[stored.response["id"]] = (stored, n_bytes)
            self._n_bytes += n_bytes
            self._items.add(stored.items)
            while len(self._kept) > self._max_responses or self._n_bytes > self._max_bytes:
                self._forget(next(iter(self._kept)))

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
                self._forget(response_id)
                return
        raise _not_stored("response", response_id, None)

    def item(self, item_id: str, *, param: str) -> Item:
        """Return an item of any conversation that is kept. Raises NotStored."""
        with self._lock:
            item = self._items.find(item_id)
        if item is None:
            raise _not_stored("item", item_id, param)
        return item

    def _forget(self, response_id: str) -> None:
        stored, n_bytes = self._kept.pop(response_id)
        self._n_bytes -= n_bytes
        self._items.remove(stored.items)


def _not_stored(kind: str, name: str, param: str | None) -> NotStored:
    start = f"{param}: " if param else ""
    return NotStored(f"{start}no {kind} {name[:80]!r} is stored here", param=param)
