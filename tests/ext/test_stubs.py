"""The stubs say what the compiled modules have."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

ROOT = Path(__file__).parents[2]
STUBS = ROOT / "pyllama" / "_ext"
# Cython adds the docstring tests of a module, empty here, to each.
ALLOWED = r"pyllama\._ext\..*\.__test__" + "\n"


def stubtest(folder: Path, *modules: str) -> subprocess.CompletedProcess[str]:
    allowlist = folder / "allowlist.txt"
    allowlist.write_text(ALLOWED, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "--allowlist", str(allowlist), *modules],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_compiled_module_has_a_stub() -> None:
    """Each .pyx has its .pyi, and no stub stands alone."""
    sources = {path.stem for path in (ROOT / "ext").glob("*.pyx")}
    assert {path.stem for path in STUBS.glob("*.pyi")} == sources


def test_stubs_agree_with_the_modules(tmp_path: Path) -> None:
    """Names, parameters, defaults and properties of all stubs are those of the modules."""
    modules = [f"pyllama._ext.{path.stem}" for path in sorted(STUBS.glob("*.pyi"))]
    result = stubtest(tmp_path, *modules)
    assert result.returncode == 0, result.stdout
