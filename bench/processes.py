"""CPU time and peak memory of a server with all its child processes, as Linux counts them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_PROC = Path("/proc")


class ProcessTree:
    """A process and its descendants.

    Args:
        pid: the process at the root.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def pids(self) -> list[int]:
        """Return the root and every descendant that is alive."""
        children: dict[int, list[int]] = {}
        for path in _PROC.iterdir():
            if path.name.isdigit() and (fields := _stat(int(path.name))):
                children.setdefault(int(fields[1]), []).append(int(path.name))
        found = [self._pid]
        for pid in found:
            found.extend(children.get(pid, []))
        return found

    def cpu_s(self) -> float:
        """Return the CPU seconds, user and system, that the processes have used so far."""
        ticks = [fields for pid in self.pids() if (fields := _stat(pid))]
        return sum(int(f[11]) + int(f[12]) for f in ticks) / os.sysconf("SC_CLK_TCK")

    def reset_peak(self) -> None:
        """Forget the memory peaks so far: the next :meth:`peak_bytes` speaks of what follows."""
        for pid in self.pids():
            with contextlib.suppress(OSError):
                (_PROC / str(pid) / "clear_refs").write_text("5", "ascii")

    def peak_bytes(self) -> int:
        """Return the sum of the processes' peak resident memory.

        Pages that two of them share count twice.
        """
        return sum(_peak(pid) for pid in self.pids())


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; none where the process is gone."""
    try:
        # The name before them stands in brackets and may hold anything.
        return (_PROC / str(pid) / "stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def _peak(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "status").read_text("utf-8").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)
