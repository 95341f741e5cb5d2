"""The ledger of KV cells: what is shared, what is copied, what becomes free."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyllama.sched.cells import CellLedger

N_IDS = 4

operations = st.lists(
    st.tuples(
        st.sampled_from(["extend", "truncate", "copy"]),
        st.integers(0, N_IDS - 1),
        st.integers(0, N_IDS - 1),
        st.integers(0, 12),
    ),
    max_size=40,
)


@given(operations=operations, is_unified=st.booleans())
def test_ledger_counts_what_a_memory_would(
    operations: list[tuple[str, int, int, int]], *, is_unified: bool
) -> None:
    """Whatever is done in whatever order, used cells are those that some id still holds."""
    ledger = CellLedger(1000, is_unified=is_unified)
    ids = [ledger.cells() for _ in range(N_IDS)]
    model: list[list[object]] = [[] for _ in range(N_IDS)]
    for name, target, source, count in operations:
        if name == "extend":
            ids[target].extend(count)
            model[target] += [object() for _ in range(count)]
        elif name == "truncate":
            n_keep = min(count, ids[target].n)
            ids[target].truncate(n_keep)
            del model[target][n_keep:]
        elif source != target:
            n_shared = min(count, ids[source].n)
            ids[target].truncate(0)
            ledger.copy(ids[source], ids[target], n_shared)
            shared = model[source][:n_shared]
            model[target] = shared if is_unified else [object() for _ in shared]
        assert [cells.n for cells in ids] == [len(cells) for cells in model]
        assert ledger.n_used == len({id(cell) for cells in model for cell in cells})
        assert ledger.n_free == 1000 - ledger.n_used


def test_shared_cells_are_free_with_their_last_holder() -> None:
    """In a pool a prefix counts once, and stays while anybody holds it."""
    ledger = CellLedger(100, is_unified=True)
    first, second = ledger.cells(), ledger.cells()
    first.extend(40)
    ledger.copy(first, second, 30)
    second.extend(5)
    assert ledger.n_used == 45
    first.truncate(0)
    assert ledger.n_used == 35
    second.truncate(10)
    assert ledger.n_used == 10


def test_streams_copy() -> None:
    """Between streams a prefix takes cells of its own."""
    ledger = CellLedger(100, is_unified=False)
    first, second = ledger.cells(), ledger.cells()
    first.extend(40)
    ledger.copy(first, second, 30)
    assert ledger.n_used == 70
