"""KV cells: removing, sharing, shifting and looking at them, in both layouts."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pyllama._ext.memory import Memory
from tests.ext.native import N_SLOTS, ROUNDING, Driver, argmax, difference, load


@pytest.fixture(params=["streams", "pool"])
def driver(request: pytest.FixtureRequest) -> Driver:
    """A context in each of the two layouts."""
    found: Driver = request.getfixturevalue(request.param)
    return found


def test_an_empty_sequence_has_no_positions(driver: Driver) -> None:
    """Both ends of nothing are -1."""
    for seq_id in range(N_SLOTS):
        assert driver.memory.pos_min(seq_id) == driver.memory.pos_max(seq_id) == -1


def test_positions_follow_what_was_computed(driver: Driver, tokens: list[int]) -> None:
    """Each sequence holds the positions of its own tokens."""
    driver.run((tokens, 0, 0), (tokens[:3], 0, 2))
    assert (driver.memory.pos_min(0), driver.memory.pos_max(0)) == (0, len(tokens) - 1)
    assert (driver.memory.pos_min(2), driver.memory.pos_max(2)) == (0, 2)
    assert driver.memory.pos_max(1) == -1


def test_a_removed_tail_can_be_computed_anew(driver: Driver, tokens: list[int]) -> None:
    """After seq_rm() of a tail, another one continues from there as if it had always been."""
    other = tokens[:6] + tokens[::-1]
    wanted = driver.alone(other)
    driver.alone(tokens)
    assert driver.memory.seq_rm(0, 6)
    assert driver.memory.pos_max(0) == 5
    (logits,) = driver.run((other, 6, 0))
    assert difference(logits, wanted) < ROUNDING
    assert argmax(logits) == argmax(wanted)


def test_removing_touches_one_sequence(driver: Driver, tokens: list[int]) -> None:
    """seq_rm() of a whole sequence leaves the others; of nothing, it is still a success."""
    driver.run((tokens, 0, 0), (tokens, 0, 1))
    assert driver.memory.seq_rm(0)
    assert driver.memory.seq_rm(0)
    assert driver.memory.pos_max(0) == -1
    assert driver.memory.pos_max(1) == len(tokens) - 1


def test_a_range_is_half_open(driver: Driver, tokens: list[int]) -> None:
    """seq_rm(p0, p1) removes p0 and keeps p1."""
    driver.alone(tokens)
    driver.memory.seq_rm(0, 0, 4)
    assert driver.memory.pos_min(0) == 4
    driver.memory.seq_rm(0, len(tokens) - 2, len(tokens) - 1)
    assert driver.memory.pos_max(0) == len(tokens) - 1


def test_a_copied_sequence_continues_like_its_source(driver: Driver, tokens: list[int]) -> None:
    """seq_cp() of a whole sequence, cut to a prefix, saves computing that prefix again."""
    wanted = driver.alone(tokens, 1)
    driver.memory.clear()
    driver.run((tokens[:8] + tokens[::-1], 0, 0))
    driver.memory.seq_cp(0, 1)
    driver.memory.seq_rm(1, 8)
    assert driver.memory.pos_max(1) == 7
    assert driver.memory.pos_max(0) == len(tokens) + 7
    (logits,) = driver.run((tokens, 8, 1))
    assert difference(logits, wanted) < ROUNDING
    assert argmax(logits) == argmax(wanted)


def test_a_copy_replaces_what_a_stream_held(streams: Driver, tokens: list[int]) -> None:
    """In streams the target becomes its source, whatever it was before."""
    streams.run((tokens, 0, 1), (tokens[:4], 0, 0))
    streams.memory.seq_cp(0, 1)
    assert streams.memory.pos_max(1) == 3


@pytest.mark.parametrize("cut", [(1, -1), (-1, 5), (0, 0), (2, 4)])
def test_a_part_cannot_be_copied_between_streams(
    streams: Driver, tokens: list[int], cut: tuple[int, int]
) -> None:
    """llama.cpp would end the process; here it is a ValueError and nothing changes."""
    streams.run((tokens, 0, 0))
    with pytest.raises(ValueError, match="whole sequences"):
        streams.memory.seq_cp(0, 1, *cut)
    assert streams.memory.pos_max(1) == -1


def test_a_part_can_be_shared_in_the_pool(pool: Driver, tokens: list[int]) -> None:
    """In a unified cache a prefix is shared as it is, also under an id that no batch may use."""
    pool.run((tokens, 0, 0))
    for target in (1, 255):
        pool.memory.seq_cp(0, target, 0, 5)
        assert pool.memory.pos_max(target) == 4
    pool.memory.seq_rm(0)
    pool.memory.seq_cp(255, 2)
    assert pool.memory.pos_max(2) == 4


def test_sharing_costs_no_cells(pool: Driver) -> None:
    """Four sequences of 300 tokens fit 1,024 cells where they share them."""
    tokens = [5] * 300
    for start in range(0, 300, 100):
        pool.run((tokens[: start + 100], start, 0))
    for target in range(1, N_SLOTS):
        pool.memory.seq_cp(0, target)
    pool.run(*(([*tokens, 7], 300, seq_id) for seq_id in range(N_SLOTS)))
    assert [pool.memory.pos_max(seq_id) for seq_id in range(N_SLOTS)] == [300] * N_SLOTS


def test_keeping_one_drops_the_others(pool: Driver, tokens: list[int]) -> None:
    """seq_keep() leaves one sequence of the pool."""
    pool.run((tokens, 0, 0), (tokens, 0, 1), (tokens, 0, 2))
    pool.memory.seq_keep(1)
    assert [pool.memory.pos_max(seq_id) for seq_id in range(3)] == [-1, len(tokens) - 1, -1]


def test_positions_can_be_shifted(driver: Driver, tokens: list[int]) -> None:
    """Dropping cells in the middle and moving the rest down closes the gap for the next token."""
    assert driver.memory.can_shift
    driver.alone(tokens)
    n_dropped = 4
    driver.memory.seq_rm(0, 2, 2 + n_dropped)
    driver.memory.seq_add(0, 2 + n_dropped, -1, -n_dropped)
    kept = tokens[:2] + tokens[2 + n_dropped :]
    assert driver.memory.pos_max(0) == len(kept) - 1
    driver.run(([*kept, tokens[0]], len(kept), 0))
    assert driver.memory.pos_max(0) == len(kept)


def test_clearing_forgets_all(driver: Driver, tokens: list[int]) -> None:
    """clear() empties every sequence, with or without the data."""
    for data in (True, False):
        driver.run((tokens, 0, 0), (tokens, 0, 3))
        driver.memory.clear(data=data)
        assert driver.memory.pos_max(0) == driver.memory.pos_max(3) == -1


def test_layouts_are_told_apart(streams: Driver, pool: Driver) -> None:
    """has_streams says which layout a context has."""
    assert streams.memory.has_streams
    assert not pool.memory.has_streams


def uses(memory: Memory, seq_id: int) -> list[Callable[[], object]]:
    return [
        lambda: memory.seq_rm(seq_id),
        lambda: memory.seq_cp(seq_id, 0),
        lambda: memory.seq_cp(0, seq_id),
        lambda: memory.seq_keep(seq_id),
        lambda: memory.seq_add(seq_id, 0, 1, 1),
        lambda: memory.pos_min(seq_id),
        lambda: memory.pos_max(seq_id),
    ]


@pytest.mark.parametrize("seq_id", [-1, -(2**31), N_SLOTS, 255, 256, 2**31 - 1])
def test_an_id_without_a_stream_is_refused(streams: Driver, seq_id: int) -> None:
    """Every function checks the id against the streams that there are."""
    for use in uses(streams.memory, seq_id):
        with pytest.raises(ValueError, match=rf"sequence id {seq_id} is outside of \[0, 4\)"):
            use()


@pytest.mark.parametrize("seq_id", [-1, 256, 2**31 - 1])
def test_an_id_outside_of_the_pool_is_refused(pool: Driver, seq_id: int) -> None:
    """Every function checks the id against llama.cpp's limit."""
    for use in uses(pool.memory, seq_id):
        with pytest.raises(ValueError, match=rf"sequence id {seq_id} is outside of \[0, 256\)"):
            use()


def _resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere llama.cpp writes zeros to every cell"
)
def test_empty_cells_take_no_memory(model_path: Path, tokens: list[int]) -> None:
    """A context costs what its used cells cost, and computes the same after they were cleared."""
    n_ctx = 32768
    before = _resident_bytes()
    model = load(model_path, ("--ctx-size", str(n_ctx)), ("--no-kv-unified",))
    driver = Driver.of(model)
    try:
        first = driver.alone(tokens)
        # 2 x 30 layers x 192 values x 2 bytes for each cell of the default model.
        assert _resident_bytes() - before < n_ctx * 23040 / 2
        driver.memory.clear(data=True)
        assert difference(driver.alone(tokens), first) == 0.0
    finally:
        driver.context.close()
