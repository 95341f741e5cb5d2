"""The bytes of the RAM tier: what becomes of moves that cannot be done."""

from __future__ import annotations

from typing import Any

import pytest

from pyllama.engine import state_store
from pyllama.engine.state_store import StateStore
from pyllama.errors import NativeError
from pyllama.sched import LoadState, SaveState


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> StateStore:
    """A store over a context of which each id holds ten bytes."""
    monkeypatch.setattr(state_store, "save_sequence", lambda context, seq_id: bytearray(10))
    monkeypatch.setattr(state_store, "restore_sequence", lambda context, seq_id, state: len(state))
    context: Any = None
    return StateStore(context)


def test_states_come_and_go(store: StateStore) -> None:
    """A state is there until it is dropped, however often it is loaded."""
    assert store.move(SaveState(0, 5)).n_bytes == store.n_bytes == 10
    assert [store.move(LoadState(seq_id, 5, 1)).n_bytes for seq_id in (1, 2)] == [10, 10]
    for _ in range(2):
        store.drop(5)
        assert store.n_bytes == 0
    assert store.move(LoadState(1, 5, 1)).has_failed


@pytest.mark.parametrize("error", [MemoryError(), NativeError("llama_state_seq_get_data_ext", 0)])
def test_a_move_never_raises(
    store: StateStore, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Without memory, or refused by llama.cpp, a move has failed and holds nothing."""

    def fail(*_: object) -> None:
        raise error

    store.move(SaveState(0, 1))
    monkeypatch.setattr(state_store, "save_sequence", fail)
    monkeypatch.setattr(state_store, "restore_sequence", fail)
    assert store.move(SaveState(0, 2)).has_failed
    assert store.move(LoadState(0, 1, 1)).has_failed
    assert store.n_bytes == 10
