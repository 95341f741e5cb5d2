"""Items that are kept are found by their ids, in no more time for being many."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from wsgi.responses.store import NotStored, ResponseStore, Stored

URL = "/v1/responses"


class Watched(dict[str, Any]):
    """An item that counts how often it is looked at."""

    n_looks = 0

    def get(self, key: str, default: Any = None) -> Any:
        """Return a member, and count."""
        Watched.n_looks += 1
        return super().get(key, default)


def stored(name: str, *items: dict[str, Any]) -> Stored:
    return Stored(response={"id": name}, items=items)


def test_to_find_an_item_none_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that refers to each item of long conversations costs no look at all the others."""
    items = [Watched(id=f"i{index}") for index in range(200)]
    store = ResponseStore()
    for end in range(1, 201):
        store.put(stored(f"r{end}", *items[:end]))
    monkeypatch.setattr(Watched, "n_looks", 0)
    assert [store.item(f"i{index}", param="input") for index in range(200)] == items
    assert Watched.n_looks == 0


def test_item_is_kept_as_long_as_a_conversation_with_it() -> None:
    """It goes with the last one, whichever that is, and so do those without an id."""
    shared, own, plain = {"id": "shared"}, {"id": "own"}, {"id": None, "text": "x"}
    store = ResponseStore(max_responses=2)
    store.put(stored("a", shared, plain))
    store.put(stored("b", shared, plain, shared, own))
    store.delete("a")
    assert store.item("shared", param="input") is shared
    store.put(stored("c"))
    store.put(stored("d"))
    for name in ("shared", "own"):
        with pytest.raises(NotStored):
            store.item(name, param="input")


def test_of_two_items_with_one_id_the_younger_is_found() -> None:
    """Clients choose ids, too; what comes later counts until it goes."""
    old, new = {"id": "x", "text": "old"}, {"id": "x", "text": "new"}
    store = ResponseStore()
    store.put(stored("a", old))
    store.put(stored("b", new))
    assert store.item("x", param="input") is new
    store.delete("b")
    assert store.item("x", param="input") is old


def test_item_is_referred_to_once(client: httpx.Client) -> None:
    """Many references to a long text would make a conversation without bounds."""
    item = client.post(URL, json={"input": "Hi"}).json()["output"][0]
    reference = {"type": "item_reference", "id": item["id"]}
    response = client.post(URL, json={"input": [reference, reference]})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "input[1].id"
    assert "once more" in response.json()["error"]["message"]
