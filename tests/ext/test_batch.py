"""The bounds of a batch."""

from __future__ import annotations

import pytest

from pyllama._ext.batch import Batch


def test_rows_are_counted_over_all_sequences() -> None:
    """add() returns the row of the last token that it added, whatever sequence that is of."""
    batch = Batch(8)
    assert batch.add([5, 6, 7], 0, 3, 0, wants_logits=True) == 2
    assert batch.add([5, 6, 7], 1, 2, 1, wants_logits=False) == 4
    assert len(batch) == 5
    batch.clear()
    assert len(batch) == 0
    assert batch.add([9], 0, 1, 2, wants_logits=True) == 0


def test_a_full_batch_takes_no_more() -> None:
    """One token too many is refused, and what was there stays."""
    batch = Batch(3)
    batch.add([1, 2], 0, 2, 0, wants_logits=False)
    with pytest.raises(ValueError, match="4 tokens in a batch of 3"):
        batch.add([1, 2], 0, 2, 1, wants_logits=False)
    assert len(batch) == 2
    batch.add([1], 0, 1, 1, wants_logits=True)
    assert len(batch) == batch.capacity == 3


@pytest.mark.parametrize(
    ("start", "count"), [(-1, 1), (0, 0), (0, -1), (0, 4), (3, 1), (1, 2**31 - 1)]
)
def test_a_range_outside_of_the_tokens_is_refused(start: int, count: int) -> None:
    """No token is read past either end of the list, also where the sum overflows an int."""
    batch = Batch(8)
    with pytest.raises(ValueError, match="of 3"):
        batch.add([1, 2, 3], start, count, 0, wants_logits=False)
    assert len(batch) == 0


@pytest.mark.parametrize("n_skipped", [-1, 2])
def test_more_than_there_is_cannot_be_skipped(n_skipped: int) -> None:
    """No position is negative, or past the token's own index."""
    batch = Batch(8)
    with pytest.raises(ValueError, match="less than the 1 tokens"):
        batch.add([1, 2, 3], 1, 2, 0, False, n_skipped)  # noqa: FBT003
    assert len(batch) == 0


def test_what_is_no_token_leaves_the_batch_as_it_was() -> None:
    """A bad element in the middle of a chunk adds nothing."""
    batch = Batch(8)
    with pytest.raises(TypeError):
        batch.add([1, "2", 3], 0, 3, 0, wants_logits=True)  # type: ignore[list-item]
    with pytest.raises(OverflowError):
        batch.add([1, 2**40], 0, 2, 0, wants_logits=True)
    with pytest.raises(TypeError):
        batch.add((1, 2), 0, 2, 0, wants_logits=True)  # type: ignore[arg-type]
    assert len(batch) == 0


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_batch_of_nothing_is_refused(capacity: int) -> None:
    """A capacity below one token is a mistake, not an empty batch."""
    with pytest.raises(ValueError, match="capacity"):
        Batch(capacity)
