"""Positions of tokens where media take fewer of them."""

from __future__ import annotations

import pytest

from pyllama.engine.positions import Positions

# Tokens 10 to 22 lie in 4 positions, tokens 30 to 36 in 3: text, picture, text, picture, text.
FIRST, SECOND = (10, 12, 4), (30, 6, 3)


@pytest.fixture
def positions() -> Positions:
    """Sequence id 0 holds two pictures."""
    positions = Positions()
    positions.add(0, *FIRST)
    positions.add(0, *SECOND)
    return positions


def test_text_alone_sits_where_it_is_counted() -> None:
    """Without media there is nothing to know, whatever the memory does."""
    positions = Positions()
    assert positions.of(0, 7) == positions.n_tokens(0, 7) == positions.remove(0, 7) == 7
    assert positions.copy(0, 1, 5) == positions.load(1, 9, 5) == 5
    positions.save(0, 3)
    assert not positions


@pytest.mark.parametrize(
    ("index", "position"), [(0, 0), (10, 10), (22, 14), (30, 22), (36, 25), (40, 29)]
)
def test_text_goes_on_from_the_last_position_of_a_picture(
    positions: Positions, index: int, position: int
) -> None:
    """Each picture moves what is behind it."""
    assert positions.of(0, index) == position
    assert positions.skipped(0) == 11
    assert positions.of(1, index) == index


@pytest.mark.parametrize(
    ("n_pos", "n_tokens"), [(0, 0), (10, 10), (11, 22), (14, 22), (15, 23), (23, 36), (29, 40)]
)
def test_the_memory_s_last_position_tells_its_tokens(
    positions: Positions, n_pos: int, n_tokens: int
) -> None:
    """A picture counts as a whole from its first position on, where all of it may sit."""
    assert positions.n_tokens(0, n_pos) == n_tokens


def test_no_prefix_ends_inside_of_a_picture(positions: Positions) -> None:
    """There is no position for such an end."""
    with pytest.raises(AssertionError, match="inside of the media"):
        positions.of(0, 11)


def test_what_is_removed_is_forgotten(positions: Positions) -> None:
    """From the end: text, then one picture after the other."""
    assert positions.remove(0, 37) == 26
    assert positions.remove(0, 30) == 22
    assert positions.skipped(0) == 8
    assert positions.remove(0, 10) == 10
    assert not positions


def test_a_copy_has_the_pictures_of_its_tokens(positions: Positions) -> None:
    """In place of all that the target held; the source keeps its own."""
    positions.add(1, 3, 9, 3)
    assert positions.copy(0, 1, 25) == 17
    assert [positions.skipped(seq_id) for seq_id in (0, 1)] == [11, 8]
    assert positions.copy(0, 1, 5) == 5
    assert positions.skipped(1) == 0


def test_a_state_brings_its_pictures_back(positions: Positions) -> None:
    """As often as it is loaded, until it is dropped; also where less of it is wanted."""
    positions.save(0, 5)
    positions.remove(0, 0)
    assert positions.load(2, 5, 40) == 29
    assert positions.load(3, 5, 22) == 14
    assert positions.load(2, 5, 0) == 0
    assert [positions.skipped(seq_id) for seq_id in (0, 2, 3)] == [0, 0, 8]
    positions.drop(5)
    assert positions.load(2, 5, 10) == 10
