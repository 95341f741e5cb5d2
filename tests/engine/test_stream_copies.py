"""Prefixes copied between streams: what comes over, what it costs, and what happens if it fails."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyllama._ext.batch import Batch
from pyllama._ext.context import Context
from pyllama._ext.memory import Memory
from pyllama._ext.model import Model
from pyllama._ext.options import Options
from pyllama._ext.state import save_sequence
from pyllama.engine import stream_copies
from pyllama.engine.stream_copies import StreamCopies
from pyllama.errors import NativeError

pytestmark = pytest.mark.model

TOKENS = list(range(1000, 1040))
# As for every comparison of logits here: sums in another order, no more.
ROUNDING = 0.75


@pytest.fixture(scope="module")
def context(model_path: Path) -> Iterator[Context]:
    options = Options()
    for option in (
        ("--parallel", "3"),
        ("--ctx-size", "768"),
        ("--threads", "1"),
        ("--fit", "off"),
        ("--no-warmup",),
    ):
        options.set(*option)
    context = Context(Model(str(model_path), options), 0)
    yield context
    context.close()


def logits(context: Context, tokens: list[int], start: int, seq_id: int) -> list[float]:
    """Compute tokens from a position on; return the last one's logits."""
    batch = Batch(64)
    row = batch.add(tokens, start, len(tokens) - start, seq_id, wants_logits=True)
    context.decode(batch)
    return [float(value) for value in context.logits(row)]


def fill(context: Context) -> tuple[Memory, list[float]]:
    """Give stream 0 the tokens; return the memory, and what follows their first half."""
    memory = Memory(context)
    memory.clear()
    half = [*TOKENS[:20], 7]
    wanted = logits(context, half, 0, 2)
    memory.seq_rm(2)
    logits(context, TOKENS, 0, 0)
    return memory, wanted


@pytest.mark.parametrize("works", [True, False], ids=["by state", "whole streams"])
def test_copies_continue_as_their_source(
    context: Context, monkeypatch: pytest.MonkeyPatch, *, works: bool
) -> None:
    """Each target holds the first cells of the source and goes on from there, either way."""

    def refuse(*_: Any) -> bytearray:
        raise NativeError("llama_state_seq_get_data_ext", "no")

    if not works:
        monkeypatch.setattr(stream_copies, "save_sequence", refuse)
    memory, wanted = fill(context)
    copies = StreamCopies(context, memory)
    for target in (1, 2):
        copies.copy(0, target, 20)
    copies.forget()
    for target in (1, 2):
        found = logits(context, [*TOKENS[:20], 7], 20, target)
        assert max(abs(a - b) for a, b in zip(found, wanted, strict=True)) < ROUNDING
        assert memory.pos_max(target) == 20
    assert memory.pos_max(0) == len(TOKENS) - 1


def test_source_is_read_once(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several targets share one reading, until the source changes."""
    reads: list[int] = []
    save = save_sequence

    def count(context: Context, seq_id: int) -> bytearray:
        reads.append(seq_id)
        return save(context, seq_id)

    monkeypatch.setattr(stream_copies, "save_sequence", count)
    memory, _ = fill(context)
    copies = StreamCopies(context, memory)
    copies.copy(0, 1, 20)
    copies.copy(0, 2, 10)
    assert reads == [0]
    memory.seq_rm(0, 15)
    copies.changed(0)
    copies.copy(0, 1, 15)
    # A target is a source of what it got.
    copies.copy(1, 2, 12)
    copies.copy(2, 0, 12)
    assert reads == [0, 0, 1, 2]
    assert [memory.pos_max(seq_id) for seq_id in range(3)] == [11, 14, 11]
