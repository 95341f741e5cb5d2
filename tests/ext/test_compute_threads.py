"""Threads that compute sleep where they would wait long, and nobody else's library decides it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pyllama._ext.model import Model
from pyllama._ext.options import Options
from tests.ext.native import Driver, load

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="binds threads to a core and reads /proc"
)

# Two threads that share one core, as beside a busy program: seconds of the best of a few runs.
_ONE_CORE = """
import json, os, sys, time
from pathlib import Path
from tests.ext.native import Driver, load

os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
seconds = {}
for n_threads in (1, 2):
    model = load(Path(sys.argv[1]), ("--threads", str(n_threads)))
    driver = Driver.of(model)
    driver.run(([5] * 8, 0, 0))
    runs = []
    for run in range(3):
        start_s = time.perf_counter()
        for i in range(4):
            driver.run(([5] * (9 + 4 * run + i), 8 + 4 * run + i, 0))
        runs.append(time.perf_counter() - start_s)
    seconds[n_threads] = min(runs)
    driver.context.close()
print(json.dumps({"seconds": seconds, "maps": Path("/proc/self/maps").read_text()}))
"""


@pytest.fixture(scope="module")
def one_core(model_path: Path) -> dict[str, object]:
    """What a process saw that computed on one core with one thread, and with two."""
    found: dict[str, object] = json.loads(_python(_ONE_CORE, str(model_path)))
    return found


def test_two_threads_share_one_core(one_core: dict[str, dict[str, float]]) -> None:
    """A thread leaves the core to the one it waits for; where it spins, this is 200 and more."""
    seconds = one_core["seconds"]
    assert seconds["2"] / seconds["1"] < 20


def test_no_openmp_library_is_loaded(one_core: dict[str, str]) -> None:
    """However long the threads of such a library spin, it is not for ours."""
    names = {Path(line.split()[-1]).name for line in one_core["maps"].splitlines() if "/" in line}
    assert any(name.startswith("libggml-cpu") for name in names)
    assert not [name for name in names if name.startswith(("libgomp", "libomp", "libiomp"))]


def test_threads_without_work_take_no_time(model_path: Path) -> None:
    """Between two decodes the threads of a context sleep, however often one is asked for."""
    driver = Driver.of(load(model_path, ("--threads", "3")))
    driver.run(([5, 6, 7], 0, 0))
    time.sleep(0.05)
    before_s = _others_cpu_s()
    time.sleep(0.5)
    spent_s = _others_cpu_s() - before_s
    driver.context.close()
    # A thread that spun would have taken half a second.
    assert spent_s < 0.2


@pytest.mark.parametrize("counts", [(1, 1), (2, 2), (1, 3), (3, 1)])
def test_the_threads_end_with_the_context(model_path: Path, counts: tuple[int, int]) -> None:
    """A context starts its threads, those for several tokens apart, and close() ends them."""
    tasks = Path("/proc/self/task")
    options = (("--threads", str(counts[0])), ("--threads-batch", str(counts[1])))
    model: Model = load(model_path, *options)
    before = set(tasks.iterdir())
    driver = Driver.of(model)
    driver.run(([5, 6, 7], 0, 0))
    driver.run(([5, 6, 7, 8], 3, 0))
    most = counts[0] - 1 + (counts[1] - 1 if counts[1] != counts[0] else 0)
    assert len(set(tasks.iterdir()) - before) == most
    driver.context.close()
    assert not set(tasks.iterdir()) - before


def test_polling_does_not_change_results(model_path: Path, tokens: list[int]) -> None:
    """Threads that never spin, and those that spin most, compute the same."""
    rows = []
    for poll in ("0", "100"):
        driver = Driver.of(load(model_path, ("--threads", "2"), ("--poll", poll)))
        rows.append(driver.alone(tokens).tolist())
        driver.context.close()
    assert rows[0] == rows[1]


def test_a_forked_process_does_not_wait_for_the_threads(model_path: Path) -> None:
    """What a child frees does not hang, though the threads are its parent's."""
    program = """
import os, sys
from pathlib import Path
from tests.ext.native import Driver, load

driver = Driver.of(load(Path(sys.argv[1]), ("--threads", "2")))
driver.run(([5, 6], 0, 0))
child = os.fork()
driver.context.close()
if child == 0:
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert _python(program, str(model_path)) == "0\n"


def test_options_say_how_long_to_poll() -> None:
    """The polling level is a number; anything else is refused."""
    Options().set("--poll", "0")
    with pytest.raises(Exception, match="poll"):
        Options().set("--poll", "a bit")


def _others_cpu_s() -> float:
    """Return the CPU seconds of this process's threads but the calling one."""
    return time.process_time() - time.thread_time()


def _python(program: str, *arguments: str) -> str:
    root = Path(__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=200,
        cwd=root,
        env={**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
    ).stdout
