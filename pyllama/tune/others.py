"""Whether others compute on the machine meanwhile: what is measured beside them says nothing."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from pyllama.tune.store import cpus

_STAT = Path("/proc/stat")
# Of the columns after a CPU's name: all but idle, iowait, and those that others count already.
_BUSY_COLUMNS = (0, 1, 2, 5, 6, 7)


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds of CPU time so far, of the CPUs that this process may use."""

    wall_s: float
    all_s: float
    ours_s: float

    @classmethod
    def now(cls) -> CpuTimes | None:
        """Read them; None where the system does not tell."""
        try:
            all_s = _busy_s(_STAT.read_text("ascii"), {f"cpu{cpu}" for cpu in cpus()})
        except (OSError, ValueError, IndexError):
            return None
        return cls(time.monotonic(), all_s, time.process_time())


def others_since(start: CpuTimes | None) -> float | None:
    """Return how many CPUs others kept busy since then, on average; None if that is not known."""
    end = CpuTimes.now()
    if start is None or end is None or end.wall_s <= start.wall_s:
        return None
    ours_s, all_s = end.ours_s - start.ours_s, end.all_s - start.all_s
    if all_s < ours_s / 2:
        # A sandbox that shows no figures of the machine, or none that are true.
        return None
    return max(0.0, all_s - ours_s) / (end.wall_s - start.wall_s)


def too_many(others: float, n_cpus: int) -> bool:
    """Whether others took so much that fewer threads looked better than they are.

    A barrier waits for its slowest thread, so that one busy CPU counts on a large machine as well.
    """
    return others > 0.25 + 0.01 * n_cpus


def _busy_s(stat: str, names: set[str]) -> float:
    rows = (line.split() for line in stat.splitlines())
    ticks = [
        sum(int(row[1 + column]) for column in _BUSY_COLUMNS)
        for row in rows
        if row and row[0] in names
    ]
    if not ticks:
        raise ValueError("no CPU of ours")
    return sum(ticks) / os.sysconf("SC_CLK_TCK")
