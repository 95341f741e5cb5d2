"""How much host memory evicted prefixes may take."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pyllama.engine.host_memory import available_bytes, cache_bytes

if TYPE_CHECKING:
    from pathlib import Path

GIB = 1 << 30


def machine(root: Path, n_available: int, **groups: str) -> Path:
    """Write the files of a machine with so much memory; a group's file by its name."""
    (root / "proc").mkdir()
    meminfo = f"MemTotal: 99999999 kB\nMemAvailable: {n_available // 1024} kB\n"
    (root / "proc/meminfo").write_text(meminfo)
    (root / "sys/fs/cgroup").mkdir(parents=True)
    for name, text in groups.items():
        (root / "sys/fs/cgroup" / name).write_text(text)
    return root


@pytest.mark.parametrize(
    ("mib", "n_bytes"), [(-1, None), (0, 0), (1, 1 << 20), (8192, 8 * GIB), (1 << 20, 1 << 40)]
)
def test_what_the_operator_says_counts(mib: int, n_bytes: int | None) -> None:
    """MiB are taken at their word, whatever is free; -1 is no limit and 0 nothing."""
    assert cache_bytes(mib) == n_bytes


@pytest.mark.parametrize(("n_available", "n_bytes"), [(8 * GIB, 2 * GIB), (99 * GIB, 8 * GIB)])
def test_the_default_is_a_quarter_of_what_is_free(
    tmp_path: Path, n_available: int, n_bytes: int
) -> None:
    """The default leaves three quarters to others, and never takes more than llama-server's."""
    assert cache_bytes(None, machine(tmp_path, n_available)) == n_bytes


def test_a_container_has_what_its_limit_leaves(tmp_path: Path) -> None:
    """Inside of a limited group the machine's memory does not count."""
    files = {"memory.max": f"{4 * GIB}\n", "memory.current": f"{GIB}\n"}
    assert available_bytes(machine(tmp_path, 64 * GIB, **files)) == 3 * GIB


def test_an_unlimited_group_changes_nothing(tmp_path: Path) -> None:
    """The word "max" is no limit."""
    files = {"memory.max": "max\n", "memory.current": f"{GIB}\n"}
    assert available_bytes(machine(tmp_path, 6 * GIB, **files)) == 6 * GIB


@pytest.mark.parametrize(
    "meminfo", [None, "", "MemTotal: 8 kB\n", "MemAvailable: much\n", "MemAvailable:\n", "8 kB\n"]
)
def test_without_a_figure_it_is_half_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meminfo: str | None
) -> None:
    """Where the system does not say what is free, half of its memory is assumed."""
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 1 << 20, "SC_PAGE_SIZE": 4096}.get)
    if meminfo is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/meminfo").write_text(meminfo)
    assert available_bytes(tmp_path) == 2 * GIB
