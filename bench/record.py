"""What a result must say beside its figures, so that somebody else can repeat it."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from bench import peers


def context(model: Path, **settings: Any) -> dict[str, Any]:
    """Return commit, pin, flags, model hash, machine and the settings of a run."""
    return {
        **code(),
        "llama_cpp": (peers.ROOT / "vendor" / "llama.cpp.txt").read_text("utf-8").split()[-2],
        "flags": peers.flags() if peers.BUILD.exists() else {},
        "model": model.name,
        "model_sha256": _sha256(model),
        "settings": settings,
    }


def code() -> dict[str, Any]:
    """Return date, commit and machine: what a run without a model has to say.

    A load average well above zero at the start means that somebody else was using the machine.
    """
    return {
        "date": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "commit": _git("rev-parse", "--short", "HEAD"),
        "is_modified": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "machine": _machine(),
        "load_average": os.getloadavg()[0],
    }


def _git(*arguments: str) -> str:
    run = subprocess.run(
        ["git", "-C", str(peers.ROOT), *arguments],  # noqa: S607  (git is on the path)
        check=False,
        capture_output=True,
        text=True,
    )
    return run.stdout.strip()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _machine() -> dict[str, Any]:
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        cpu = next(line.split(":", 1)[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        pass
    return {"cpu": cpu, "n_cpus": os.cpu_count(), "system": platform.platform()}
