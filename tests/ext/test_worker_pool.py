"""The threads of a pool end with it, and with the process, however that ends."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from pyllama._ext.model import Model
from pyllama._ext.sampler import WorkerPool, sample_rows
from tests.ext.native import Driver, sampler

TASKS = Path("/proc/self/task")


@pytest.mark.parametrize("n_threads", [0, -1, -(2**31)])
def test_a_pool_has_a_thread(n_threads: int) -> None:
    """A pool of no threads is refused."""
    with pytest.raises(ValueError, match="at least 1"):
        WorkerPool(n_threads)


@pytest.mark.skipif(not TASKS.exists(), reason="counts threads the Linux way")
@pytest.mark.parametrize(("n_threads", "n_started"), [(1, 0), (4, 3), (10_000, 63)])
def test_threads_begin_and_end_with_the_pool(n_threads: int, n_started: int) -> None:
    """The calling thread is one of them; however many are asked for, 64 work."""
    # By their ids: a thread of an earlier test may end meanwhile.
    before = set(TASKS.iterdir())
    pool = WorkerPool(n_threads)
    started = set(TASKS.iterdir()) - before
    assert len(started) == n_started
    del pool
    gc.collect()
    assert not started & set(TASKS.iterdir())


def test_two_callers_at_once(streams: Driver, model: Model, tokens: list[int]) -> None:
    """While a pool is in use, another caller does its rows alone; both get their tokens."""
    streams.alone(tokens)
    row = len(tokens) - 1
    pool = WorkerPool(3)
    found: dict[int, list[int]] = {}

    def work(number: int) -> None:
        samplers = [sampler(model, temperature=1.0, seed=seed) for seed in range(6)]
        found[number] = [
            token
            for _ in range(20)
            for token in sample_rows(streams.context, samplers, [row] * 6, pool)
        ]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 120


def run(text: str) -> str:
    """Run a program; it must end by itself, in silence but for what it prints."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(text)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_a_process_ends_with_its_pool() -> None:
    """A pool that nobody frees does not hold the interpreter."""
    text = """
        from pyllama._ext.sampler import WorkerPool
        kept = WorkerPool(4)
        cycle = [WorkerPool(4)]
        cycle.append(cycle)
        print("end")
    """
    assert run(text) == "end\n"


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there is no fork")
def test_a_forked_process_ends_too() -> None:
    """The threads stay with the parent; in a child the pool is freed without them."""
    text = """
        import os
        from pyllama._ext.sampler import WorkerPool
        pool = WorkerPool(4)
        child = os.fork()
        del pool
        if child == 0:
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    assert run(text) == "0\n"
