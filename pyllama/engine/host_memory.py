"""How much host memory the RAM tier of the prefix cache may take."""

from __future__ import annotations

import os
from pathlib import Path

_MIB = 1 << 20
# llama-server's limit. On a small machine it would push the model's own pages out of memory, so
# there the limit is a share of what the loaded model has left.
_MAX_DEFAULT_MIB = 8192
_DEFAULT_SHARE = 0.25
_CGROUPS = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)


def cache_bytes(cache_ram_mib: int | None, root: Path = Path("/")) -> int | None:
    """Return the limit of the RAM tier, bytes; None is no limit.

    Args:
        cache_ram_mib: MiB, -1 for no limit; None chooses by the memory that is free now.
        root: where the system's own files begin.
    """
    if cache_ram_mib is None:
        return int(min(available_bytes(root) * _DEFAULT_SHARE, _MAX_DEFAULT_MIB * _MIB))
    return None if cache_ram_mib < 0 else cache_ram_mib * _MIB


def available_bytes(root: Path = Path("/")) -> int:
    """Return the memory that can be taken without swapping, a container's limit included."""
    available = _available_of_machine(root)
    for limit_file, usage_file in _CGROUPS:
        limit = _number(root / "sys/fs/cgroup" / limit_file)
        usage = _number(root / "sys/fs/cgroup" / usage_file)
        if limit is not None and usage is not None:
            available = min(available, max(limit - usage, 0))
    return available


def _available_of_machine(root: Path) -> int:
    try:
        lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, LookupError):
        # Not Linux: half of what there is.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def _number(path: Path) -> int | None:
    """Return the number in a file; None where there is none, as in an unlimited group's "max"."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
