"""Work runs without the GIL, and a long one can be interrupted."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pyllama._ext.context import DECODE_ABORTED, DECODE_OK
from pyllama._ext.model import Model
from pyllama._ext.options import Options
from pyllama._ext.sampler import sample_rows
from pyllama._ext.state import restore_sequence, save_sequence
from pyllama._ext.vocab import Vocab
from tests.ext.native import ROUNDING, Driver, argmax, difference, load, sampler

UBATCH = 32


class Ticker(threading.Thread):
    """Counts while it can; gives the GIL up after each step."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.count = 0
        self.is_stopped = False

    def run(self) -> None:
        while not self.is_stopped:
            self.count += 1
            time.sleep(0)


@pytest.fixture
def ticks() -> Iterator[Callable[[Callable[[], object]], int]]:
    """Counts another thread's steps during a call.

    The interpreter itself switches threads every ten seconds only, so steps mean that the call let
    go of the GIL.
    """
    ticker = Ticker()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(10.0)

    def during(call: Callable[[], object]) -> int:
        before = ticker.count
        call()
        return ticker.count - before

    ticker.start()
    yield during
    ticker.is_stopped = True
    sys.setswitchinterval(interval)
    ticker.join()


def test_the_ticker_sees_a_held_gil(ticks: Callable[[Callable[[], object]], int]) -> None:
    """A call that holds the GIL for as long as a decode takes shows no steps."""
    assert ticks(lambda: sum(range(3_000_000))) == 0


def test_decode_releases_the_gil(
    streams: Driver, tokens: list[int], ticks: Callable[[Callable[[], object]], int]
) -> None:
    """Another thread runs while a batch is computed."""
    streams.fill((tokens * 4, 0, 0))
    assert ticks(lambda: streams.context.decode(streams.batch)) > 10


def test_sampling_releases_the_gil(
    streams: Driver, model: Model, tokens: list[int], ticks: Callable[[Callable[[], object]], int]
) -> None:
    """Another thread runs while rows are sampled."""
    rows = streams.fill(*((tokens, 0, seq_id) for seq_id in range(4)))
    streams.context.decode(streams.batch)
    samplers = [sampler(model, temperature=1.0, presence_penalty=0.1) for _ in rows]
    assert ticks(lambda: [sample_rows(streams.context, samplers, rows) for _ in range(50)]) > 4


def test_loading_and_states_release_the_gil(
    streams: Driver,
    model_path: Path,
    tokens: list[int],
    ticks: Callable[[Callable[[], object]], int],
) -> None:
    """Another thread runs while a model is loaded, a state copied or a long text tokenised."""
    streams.alone(tokens * 8)
    vocab = Vocab(streams.model)
    state = save_sequence(streams.context, 0)
    assert ticks(lambda: Model(model_path, Options())) > 10
    # So short that on busy cores the other thread may not come to run during one of them.
    for call in (
        lambda: save_sequence(streams.context, 0),
        lambda: restore_sequence(streams.context, 0, state),
        lambda: vocab.tokenize("some words and " * 5000),
    ):
        assert any(ticks(call) > 0 for _ in range(100))


@pytest.fixture(scope="module")
def long(model_path: Path) -> Iterator[Driver]:
    """A context for one prompt of 2,048 tokens, computed in small parts."""
    driver = Driver.of(
        load(
            model_path,
            ("--parallel", "1"),
            ("--ctx-size", "2304"),
            ("--batch-size", "2048"),
            ("--ubatch-size", str(UBATCH)),
        )
    )
    yield driver
    driver.context.close()


def test_a_long_prefill_is_interrupted(long: Driver, tokens: list[int]) -> None:
    """abort() by another thread ends a prefill early; what was computed before it is right."""
    prompt = (tokens * 200)[:2048]
    long.alone(tokens)
    start_s = time.perf_counter()
    long.alone(prompt[:128])
    timer = threading.Timer(2 * (time.perf_counter() - start_s), long.context.abort)
    long.memory.clear()
    long.fill((prompt, 0, 0))
    timer.start()
    status = long.context.decode(long.batch)
    timer.join()
    assert status == DECODE_ABORTED
    n_past = long.memory.pos_max(0) + 1
    assert 0 < n_past < 2048
    assert n_past % UBATCH == 0
    long.context.clear_abort()

    (logits,) = long.run((prompt[: n_past + 1], n_past, 0))
    wanted = long.alone(prompt[: n_past + 1])
    assert difference(logits, wanted) < ROUNDING
    assert argmax(logits) == argmax(wanted)


def test_the_flag_stays_until_it_is_cleared(long: Driver, tokens: list[int]) -> None:
    """abort() before a decode ends that one too, and leaves no cells; clear_abort() forgets it."""
    long.memory.clear()
    long.context.abort()
    for _ in range(2):
        long.fill((tokens, 0, 0))
        assert long.context.decode(long.batch) == DECODE_ABORTED
        assert long.memory.pos_max(0) == -1
    long.context.clear_abort()
    long.fill((tokens, 0, 0))
    assert long.context.decode(long.batch) == DECODE_OK
