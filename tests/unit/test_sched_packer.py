"""Inputs of several requests, packed into batches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyllama.sched import Lot, Packer, Piece


def lot(*lengths: int) -> Lot:
    """Return a request with inputs of some lengths."""
    return Lot([tuple(range(length)) for length in lengths])


def packer(*lots: Lot, can_cut: bool = True, n_seq_ids: int = 8, n_batch: int = 32) -> Packer:
    """Return a packer that has some requests."""
    made = Packer(n_seq_ids=n_seq_ids, n_batch=n_batch, can_cut=can_cut)
    for one in lots:
        made.add(one)
    return made


def spans(pieces: list[Piece]) -> list[tuple[int, int, int]]:
    """Return which input, from where and how much each piece is."""
    return [(piece.index, piece.start, piece.count) for piece in pieces]


def test_requests_take_turns() -> None:
    """One with a single input does not wait for all inputs of another."""
    many, single = lot(*[10] * 6), lot(10)
    made = packer(many, single)
    assert [piece.lot for piece in made.pack(32)] == [many, single, many]


def test_a_long_input_is_cut() -> None:
    """It goes on in the next batch under the same sequence id, batched with others at its end."""
    made = packer(lot(70), lot(5))
    assert spans(made.pack(32)) == [(0, 0, 32)]
    assert spans(made.pack(32)) == [(0, 32, 32)]
    last = made.pack(32)
    assert spans(last) == [(0, 64, 6), (0, 0, 5)]
    assert [piece.is_last for piece in last] == [True, True]
    assert last[0].seq_id == 0
    assert not made.has_work


def test_an_input_that_fits_is_left_whole() -> None:
    """What has room in the next batch is not cut to fill this one."""
    made = packer(lot(20, 20, 20))
    assert spans(made.pack(32)) == [(0, 0, 20)]
    assert spans(made.pack(32)) == [(1, 0, 20)]


def test_what_may_not_be_cut_is_alone_if_it_is_long() -> None:
    """An encoder's input is never spread, and never shares a batch that it does not fit."""
    made = packer(lot(10, 100, 10), can_cut=False)
    assert [spans(made.pack(32)) for _ in range(3)] == [[(0, 0, 10)], [(1, 0, 100)], [(2, 0, 10)]]
    assert not made.has_work


def test_ids_bound_a_batch() -> None:
    """No more inputs are in a batch than there are sequence ids."""
    made = packer(lot(*[1] * 9), n_seq_ids=4)
    assert [len(made.pack(32)) for _ in range(3)] == [4, 4, 1]


def test_a_request_can_be_taken_back() -> None:
    """Its inputs are gone, and the id of the one that was begun is told."""
    long, other = lot(50, 50), lot(3)
    made = packer(long, other)
    begun = made.pack(32)[0]
    assert made.remove(long) == begun.seq_id
    assert made.remove(long) is None
    assert spans(made.pack(32)) == [(0, 0, 3)]
    assert made.remove(other) is None
    assert not made.has_work


def test_a_request_without_inputs_is_no_work() -> None:
    """There is nothing to compute for it."""
    assert not packer(lot()).has_work


@given(
    st.lists(st.lists(st.integers(1, 90), min_size=1, max_size=6), min_size=1, max_size=5),
    st.lists(st.integers(1, 64), min_size=1, max_size=8),
    st.booleans(),
)
def test_every_token_is_computed_once(
    lengths: list[list[int]],
    rooms: list[int],
    can_cut: bool,  # noqa: FBT001
) -> None:
    """In order, within the batch, one input of an id at a time, and one in pieces at most."""
    lots = [lot(*one) for one in lengths]
    made = packer(*lots, can_cut=can_cut, n_seq_ids=3)
    reached: dict[tuple[Lot, int], int] = {}
    step = 0
    while made.has_work:
        room = rooms[step % len(rooms)]
        pieces = made.pack(room)
        step += 1
        ids = [piece.seq_id for piece in pieces]
        assert len(set(ids)) == len(ids)
        assert set(ids) <= {0, 1, 2}
        assert len(pieces) == 1 or sum(piece.count for piece in pieces) <= min(room, 32)
        assert sum(not piece.is_last for piece in pieces) <= 1
        for piece in pieces:
            assert reached.get((piece.lot, piece.index), 0) == piece.start
            assert piece.count > 0
            reached[piece.lot, piece.index] = piece.start + piece.count
            assert can_cut or piece.is_last
    assert reached == {
        (one, index): len(tokens) for one in lots for index, tokens in enumerate(one.inputs)
    }
