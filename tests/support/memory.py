"""How much memory this process has."""

from __future__ import annotations

from pathlib import Path

import pytest

_STATUS = Path("/proc/self/status")

needs_proc = pytest.mark.skipif(not _STATUS.exists(), reason="needs /proc")


def resident_bytes(name: str = "VmRSS") -> int:
    """Return what of this process is in memory; ``RssAnon`` is without the files that it maps."""
    for line in _STATUS.read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    raise LookupError(name)
