"""One sequence's state as bytes, and back."""

from __future__ import annotations

import pytest

from pyllama._ext.state import restore_sequence, save_sequence
from pyllama.errors import NativeError
from tests.ext.native import N_SLOTS, ROUNDING, Driver, difference, seeded


@pytest.fixture(params=["streams", "pool"])
def driver(request: pytest.FixtureRequest) -> Driver:
    """A context in each of the two layouts."""
    found: Driver = request.getfixturevalue(request.param)
    return found


def test_a_restored_sequence_continues_identically(driver: Driver, tokens: list[int]) -> None:
    """The next logits are the same to the last bit, under another id and after other work."""
    driver.run((tokens[:-1], 0, 0))
    state = save_sequence(driver.context, 0)
    (wanted,) = driver.run((tokens, len(tokens) - 1, 0))
    driver.memory.clear()
    assert restore_sequence(driver.context, 0, state) == len(state)
    assert driver.memory.pos_max(0) == len(tokens) - 2
    (logits,) = driver.run((tokens, len(tokens) - 1, 0))
    assert difference(logits, wanted) == 0.0


def test_a_state_may_go_to_another_sequence(driver: Driver, tokens: list[int]) -> None:
    """A saved sequence can be restored under another id, in place of what that one held."""
    driver.run((tokens, 0, 0), (tokens[::-1], 0, 2))
    state = save_sequence(driver.context, 0)
    restore_sequence(driver.context, 2, bytes(state))
    assert driver.memory.pos_max(2) == len(tokens) - 1
    ends = driver.run(([*tokens, 7], len(tokens), 0), ([*tokens, 7], len(tokens), 2))
    assert difference(*ends) < ROUNDING


def test_a_state_of_the_other_layout_is_refused(
    streams: Driver, pool: Driver, tokens: list[int]
) -> None:
    """A state knows its layout, and a context of another one does not take it."""
    streams.run((tokens, 0, 3))
    with pytest.raises(NativeError, match="refused the state"):
        restore_sequence(pool.context, 1, memoryview(save_sequence(streams.context, 3)))
    assert pool.memory.pos_max(1) == -1


def test_an_empty_sequence_can_be_saved(driver: Driver, tokens: list[int]) -> None:
    """The state of nothing is small, and restoring it empties a sequence."""
    state = save_sequence(driver.context, 1)
    assert 0 < len(state) < 4096
    driver.run((tokens, 0, 1))
    restore_sequence(driver.context, 1, state)
    assert driver.memory.pos_max(1) == -1


@pytest.mark.parametrize("part", [1, 8, 100, -1])
def test_a_truncated_state_is_refused(driver: Driver, tokens: list[int], part: int) -> None:
    """A state that ends early is a NativeError; the sequence is empty and usable then."""
    wanted = driver.alone(tokens)
    state = save_sequence(driver.context, 0)
    with pytest.raises(NativeError, match="llama_state_seq_set_data_ext"):
        restore_sequence(driver.context, 0, state[:part])
    assert driver.memory.pos_max(0) == -1
    assert difference(driver.alone(tokens), wanted) == 0.0


def test_damaged_states_do_no_harm(streams: Driver, tokens: list[int]) -> None:
    """Random damage to a state's head is refused or read, and the context works on."""
    wanted = streams.alone(tokens)
    state = save_sequence(streams.context, 0)
    random_ = seeded(7)
    n_refused = 0
    for _ in range(60):
        damaged = bytearray(state)
        for _ in range(3):
            damaged[random_.randrange(200)] = random_.randrange(256)
        try:
            restore_sequence(streams.context, 0, damaged)
        except NativeError:
            n_refused += 1
        streams.memory.clear()
    assert n_refused > 10
    assert difference(streams.alone(tokens), wanted) == 0.0


@pytest.mark.parametrize("seq_id", [-1, N_SLOTS, 256])
def test_an_id_without_a_stream_is_refused(streams: Driver, tokens: list[int], seq_id: int) -> None:
    """Both functions check the id against the streams that there are."""
    streams.run((tokens, 0, 0))
    state = save_sequence(streams.context, 0)
    with pytest.raises(ValueError, match="sequence id"):
        save_sequence(streams.context, seq_id)
    with pytest.raises(ValueError, match="sequence id"):
        restore_sequence(streams.context, seq_id, state)


def test_an_empty_state_is_refused(streams: Driver) -> None:
    """No bytes are no state."""
    with pytest.raises(ValueError, match="empty"):
        restore_sequence(streams.context, 0, b"")
