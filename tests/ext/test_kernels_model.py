"""A model on pyllama's kernels: the same bits in any company, and a switch that is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from pyllama._ext.vocab import Vocab
from tests.ext.native import TEXT, Driver, load


def opened(model_path: Path, layout: str, cells: str) -> Iterator[Driver]:
    """Room for four sequences of 1,024 tokens, several stretches of attention, and two threads."""
    sizes = {"ctx-size": 4096, "batch-size": 2048, "ubatch-size": 512, "threads": 2}
    changes = ((f"--{name}", str(size)) for name, size in sizes.items())
    types = (("--cache-type-k", cells), ("--cache-type-v", cells))
    driver = Driver.of(load(model_path, (layout,), *changes, *types))
    yield driver
    driver.context.close()


def text_of(driver: Driver) -> list[int]:
    """Return more tokens than any test takes, without a model that is on other kernels."""
    return Vocab(driver.model).tokenize(TEXT) * 60


@pytest.fixture(scope="module", params=["f16", "q8_0"])
def slots(short_model_path: Path, kernels: str, request: pytest.FixtureRequest) -> Iterator[Driver]:
    """Each sequence has cells of its own."""
    del kernels
    yield from opened(short_model_path, "--no-kv-unified", request.param)


@pytest.fixture(scope="module", params=["f16", "q8_0"])
def pool(short_model_path: Path, kernels: str, request: pytest.FixtureRequest) -> Iterator[Driver]:
    """All sequences share one range of cells."""
    del kernels
    yield from opened(short_model_path, "--kv-unified", request.param)


@pytest.mark.parametrize("length", [5, 60, 540])
def test_logits_are_the_same_to_the_last_bit(slots: Driver, length: int) -> None:
    """However a prompt is cut, whoever is computed beside it, and on any number of threads."""
    text = text_of(slots)
    prompt = text[:length]
    others = [text[shift : shift + n] for shift, n in ((3, 9), (5, 40), (7, length))]

    def cut(*places: int) -> memoryview:
        slots.memory.clear()
        rows = [slots.run((prompt[:end], start, 0))[0] for start, end in pairwise(places)]
        return rows[-1]

    whole = cut(0, length)
    assert cut(0, length - 1, length) == whole
    assert cut(0, 1, length // 2, length - 2, length) == whole
    slots.memory.clear()
    together = slots.run((prompt, 0, 0), *((other, 0, i) for i, other in enumerate(others, 1)))
    assert together[0] == whole
    slots.context.set_threads(1, 1)
    assert cut(0, length) == whole
    slots.context.set_threads(2, 2)


@pytest.mark.parametrize("length", [5, 60, 540])
def test_a_place_in_the_pool_changes_no_bit(pool: Driver, length: int) -> None:
    """Nor does who was there before, who is computed beside, or whose beginning is shared."""
    text = text_of(pool)
    prompt, other = text[:length], text[3 : 3 + length + 37]
    whole = pool.alone(prompt)
    pool.memory.clear()
    pool.run((other, 0, 1))
    assert pool.run((prompt, 0, 0))[0] == whole
    pool.memory.clear()
    together = pool.run((text[9:50], 0, 2), (prompt, 0, 0), (other, 0, 1))
    assert together[1] == whole
    # Its beginning is another's, who goes on with it in the same step, and what follows lies behind
    # a third one's cells.
    cut = length // 2
    pool.memory.clear()
    pool.run((text[5:20], 0, 3))
    pool.run((prompt[:cut], 0, 2))
    pool.run((other, 0, 1))
    pool.memory.seq_cp(2, 0, 0, cut)
    again = (prompt[:cut] + text[30:70], cut, 2)
    assert pool.run(again, (prompt, cut, 0), (text[5:21], 15, 3))[1] == whole


_SWITCHED_OFF = """
import json, sys
from pyllama import Llama
from pyllama._ext import backend
from pyllama.errors import ConfigError
path = sys.argv[1]
found = {}
with Llama(path, kernels=False, ctx_size=512, parallel=1, threads=1) as llm:
    found["text"] = llm.generate("One, two, three,", max_tokens=4).text
    found["kernels"] = backend.use_kernels()
    try:
        Llama(path, ctx_size=512)
    except ConfigError as error:
        found["error"] = str(error)
    found["after"] = llm.generate("One, two, three,", max_tokens=4).text
json.dump(found, sys.stdout)
"""


def test_a_process_stays_with_what_its_first_model_wanted(model_path: Path) -> None:
    """Switched off, they are not there; a model that wants them is refused, and no harm done."""
    run = subprocess.run(
        [sys.executable, "-c", _SWITCHED_OFF, str(model_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found: dict[str, Any] = json.loads(run.stdout)
    assert found["kernels"] == ""
    assert "kernels are off since the process loaded its first model" in found["error"]
    assert "another process" in found["error"]
    assert found["text"] == found["after"] != ""
