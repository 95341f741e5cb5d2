"""Which KV cells are whose: the ledger of a context's memory.

In a unified pool, sequence ids share the cells of a common prefix: the pool holds them once, and
frees them with the last id that refers to them. The ledger knows sharing by *runs*: stretches of
cells that were filled together and that the same ids hold. In separate streams a copy has cells of
its own, so every run has one holder.
"""

from __future__ import annotations


class Run:
    """A stretch of cells with the same holders."""

    __slots__ = ("holders", "length")

    def __init__(self, length: int, holders: list[Cells]) -> None:
        self.length = length
        self.holders = holders


class Cells:
    """The cells of one sequence id, positions 0 to ``n`` - 1, as runs in order."""

    __slots__ = ("_ledger", "n", "runs")

    def __init__(self, ledger: CellLedger) -> None:
        self._ledger = ledger
        self.runs: list[Run] = []
        self.n = 0

    def extend(self, count: int) -> None:
        """Take ``count`` free cells for the next positions."""
        if count == 0:
            return
        last = self.runs[-1] if self.runs else None
        if last is not None and len(last.holders) == 1:
            last.length += count
        else:
            self.runs.append(Run(count, [self]))
        self.n += count
        self._ledger.n_used += count

    def truncate(self, n_keep: int) -> None:
        """Let go of the cells from position ``n_keep`` on; what nobody else holds is free."""
        self._split_at(n_keep)
        kept, n_runs = 0, 0
        while kept < n_keep:
            kept += self.runs[n_runs].length
            n_runs += 1
        for run in self.runs[n_runs:]:
            run.holders.remove(self)
            if not run.holders:
                self._ledger.n_used -= run.length
        del self.runs[n_runs:]
        self.n = n_keep

    def share(self, other: Cells, count: int) -> None:
        """Hold the first ``count`` cells of another id too. This one must be empty."""
        other._split_at(count)
        shared = 0
        for run in other.runs:
            if shared == count:
                break
            run.holders.append(self)
            self.runs.append(run)
            shared += run.length
        self.n = count

    def _split_at(self, position: int) -> None:
        """Make a border between runs at this position, for every holder of the run there."""
        start = 0
        for run in self.runs:
            if start < position < start + run.length:
                rest = Run(start + run.length - position, list(run.holders))
                run.length = position - start
                for holder in run.holders:
                    holder.runs.insert(holder.runs.index(run) + 1, rest)
                return
            start += run.length


class CellLedger:
    """Owner of the count of cells in use.

    Args:
        n_cells: cells of the memory.
        is_unified: whether ids share cells; otherwise a copy takes cells of its own.
    """

    def __init__(self, n_cells: int, *, is_unified: bool) -> None:
        self.n_cells = n_cells
        self.is_unified = is_unified
        self.n_used = 0

    @property
    def n_free(self) -> int:
        """Cells that hold nothing."""
        return self.n_cells - self.n_used

    def cells(self) -> Cells:
        """Return the (empty) cells of a new sequence id."""
        return Cells(self)

    def copy(self, source: Cells, target: Cells, count: int) -> None:
        """Give an empty id the first ``count`` cells of another: shared, or as a copy."""
        if self.is_unified:
            target.share(source, count)
        else:
            target.extend(count)
