"""Which results are worth nothing: those of a busy machine, and those that say nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyllama.tune import others, store
from pyllama.tune.judge import Pair, Verdict
from pyllama.tune.others import CpuTimes, others_since, too_many
from pyllama.tune.run import Result
from pyllama.tune.search import Outcome, Trial
from pyllama.tune.workload import Workload

N_CPUS = store.n_cpus()


def of(*verdicts: Verdict, busy: float | None = 0.0) -> Result:
    pairs = {"prefill": [Pair(1.0, 1.0)]}
    return Result(
        outcome=Outcome((), [Trial("threads", "1", verdict, pairs) for verdict in verdicts]),
        workload=Workload(depth=64, n_tokens=8, n_parallel=1),
        model="m.gguf",
        path=None,
        seconds=1.0,
        others=busy,
    )


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (of(Verdict.BETTER), ""),
        (of(Verdict.WORSE, Verdict.UNFINISHED), ""),
        (of(Verdict.NOT_BETTER, busy=0.1), ""),
        (of(Verdict.NOT_BETTER, busy=None), ""),
        (of(Verdict.BETTER, busy=1.0 + N_CPUS / 10), "--keep-busy"),
        (of(Verdict.UNFINISHED, Verdict.FAILED), "--seconds"),
        (of(), "nothing to try"),
    ],
)
def test_a_doubt_says_what_to_do(result: Result, words: str) -> None:
    """Only what was compared to an end, on a machine that did nothing else, has none."""
    assert bool(result.doubt) == bool(words)
    assert words in result.doubt


@pytest.mark.parametrize(
    ("busy", "n_cpus", "is_too_many"),
    [(0.0, 2, False), (0.2, 2, False), (0.5, 2, True), (1.0, 64, True), (0.5, 64, False)],
)
def test_one_busy_cpu_is_too_many(busy: float, n_cpus: int, *, is_too_many: bool) -> None:
    """What idles in the background does not count; a program that computes does."""
    assert too_many(busy, n_cpus) == is_too_many


def stat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *seconds: float) -> None:
    """Let the system say that each of our CPUs was busy for so long, and other CPUs longer."""
    tick = os.sysconf("SC_CLK_TCK")
    rows = [
        f"cpu{cpu} {int(busy * tick)} 0 0 99999 99999 0 0 0 88888 0\n"
        for cpu, busy in zip(sorted(store.cpus()), seconds, strict=False)
    ]
    path = tmp_path / "stat"
    path.write_text(f"cpu 1 2 3\n{''.join(rows)}cpu9999 77777 0 0 0 0 0 0 0 0 0\nintr 5\n", "ascii")
    monkeypatch.setattr(others, "_STAT", path)


def test_what_we_use_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the seconds of our CPUs those of this process are taken away; waiting is no work."""
    stat(tmp_path, monkeypatch, 100.0)
    now = CpuTimes.now()
    assert now is not None
    assert now.all_s == pytest.approx(100.0)
    start = CpuTimes(now.wall_s - 10.0, now.all_s - 12.0, now.ours_s - 7.0)
    assert others_since(start) == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("text", ["", "cpu 1 2 3\n", "cpu0 x\n", "intr 1\n"])
def test_a_system_that_says_nothing_raises_no_doubt(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the figures are missing or cannot be true, it is not known what others do."""
    stat(tmp_path, monkeypatch, 5.0)
    now = CpuTimes.now()
    assert now is not None
    assert others_since(CpuTimes(now.wall_s - 9.0, now.all_s, now.ours_s - 9.0)) is None
    (tmp_path / "stat").write_text(text, "ascii")
    assert CpuTimes.now() is None
    assert others_since(None) is None
    assert others_since(now) is None


@pytest.fixture
def neighbour() -> Iterator[None]:
    """Another process that computes."""
    code = "import time\nend = time.monotonic() + 20\nwhile time.monotonic() < end: pass"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        yield
        process.kill()


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="no /proc/stat")
@pytest.mark.usefixtures("neighbour")
def test_a_neighbour_is_noticed() -> None:
    """A process that computes beside us is seen, however busy we are ourselves."""
    start = CpuTimes.now()
    assert start is not None
    done = threading.Event()

    def compute() -> None:
        while not done.is_set():
            pass

    ours = threading.Thread(target=compute)
    ours.start()
    time.sleep(2)
    done.set()
    ours.join()
    busy = others_since(start)
    if busy is None:
        pytest.skip("this system's figures are not true")
    assert busy > 0.2
