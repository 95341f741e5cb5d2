"""Engines over fake runners."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.builders import limits
from tests.support.engine_room import Room


@pytest.fixture
def make() -> Iterator[Callable[..., Room]]:
    """What makes rooms; all are closed at the end, and leave no thread."""
    rooms: list[Room] = []

    def build(max_queue: int = 8, **changes: Any) -> Room:
        rooms.append(Room(limits(**changes), max_queue))
        return rooms[-1]

    yield build
    for room in rooms:
        room.runner.gate.set()
        room.engine.close()
        assert not room.engine._thread.is_alive()
        assert room.stops == 1


@pytest.fixture
def room(make: Callable[..., Room]) -> Room:
    return make()
