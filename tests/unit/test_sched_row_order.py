"""Which chunks of a step llama.cpp computes together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyllama.sched.plan import Chunk
from pyllama.sched.row_order import in_row_order
from pyllama.sched.sequence import Sequence
from tests.support import builders

N_UBATCH = 512
LONG = N_UBATCH // 8


def chunk(seq_id: int, count: int) -> Chunk:
    return Chunk(Sequence(builders.request(count)), seq_id, 0, count, wants_token=True)


def ubatches(chunks: tuple[Chunk, ...]) -> list[list[int]]:
    """Split as llama.cpp does, in rounds: rows of consecutive, rising ids, equally many of each."""
    left = {chunk.seq_id: chunk.count for chunk in chunks}
    rounds: list[list[int]] = []
    while left:
        together: list[int] = []
        for seq_id in left:
            if not together or seq_id == together[-1] + 1:
                together.append(seq_id)
        n_rows = min(*(left[seq_id] for seq_id in together), N_UBATCH // len(together), N_UBATCH)
        left = {
            seq_id: rest
            for seq_id, count in left.items()
            if (rest := count - n_rows * (seq_id in together))
        }
        rounds.append(together)
    return rounds


def test_decoding_rows_share_one_pass() -> None:
    """Rows of one token each go by sequence id, in one ubatch."""
    rows = in_row_order([chunk(2, 1), chunk(0, 1), chunk(1, 1)], N_UBATCH)
    assert ubatches(rows) == [[0, 1, 2]]


def test_a_long_prompt_is_computed_alone() -> None:
    """Nobody who decodes beside a long chunk attends to its cells, whatever the ids."""
    rows = in_row_order([chunk(0, 1), chunk(1, 1), chunk(2, 300), chunk(3, 1)], N_UBATCH)
    assert ubatches(rows) == [[3], [2], [0, 1]]


def test_short_prompts_are_batched_together() -> None:
    """Chunks below an eighth of a ubatch share passes with each other and with who decodes."""
    rows = in_row_order([chunk(0, 1), chunk(1, LONG - 1), chunk(2, LONG - 1)], N_UBATCH)
    assert ubatches(rows)[0] == [0, 1, 2]


@given(st.dictionaries(st.integers(0, 15), st.integers(1, 2 * LONG), min_size=1))
def test_nothing_is_batched_with_a_long_chunk(counts: dict[int, int]) -> None:
    """Every chunk is in the batch once, and a long one has its ubatches to itself."""
    chunks = [chunk(seq_id, count) for seq_id, count in counts.items()]
    rows = in_row_order(chunks, N_UBATCH)
    assert sorted(rows, key=chunks.index) == chunks
    for together in ubatches(rows):
        assert len(together) == 1 or all(counts[seq_id] < LONG for seq_id in together)
