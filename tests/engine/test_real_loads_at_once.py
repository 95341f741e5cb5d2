"""Models that are loaded at the same time, on threads of one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_LOADS = """
import sys, threading
from pyllama import Llama

def loads():
    for _ in range(6):
        Llama(sys.argv[1], ctx_size=256, parallel=1, threads=1).close()

threads = [threading.Thread(target=loads) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("all loaded")
"""


@pytest.mark.model
def test_loads_at_once_do_not_disturb_each_other(model_path: Path) -> None:
    """The log is one for all of them: what one load does to it, the others meet."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _LOADS, str(model_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
        cwd=root,
    )
    assert (done.returncode, done.stdout) == (0, "all loaded\n"), done.stderr[-2000:]
