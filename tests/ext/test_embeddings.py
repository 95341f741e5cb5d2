"""Contexts for embeddings: rows of tokens, sums of rows, and rows that llama.cpp pools."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyllama._ext.batch import Batch
from pyllama._ext.context import DECODE_OK, Context
from pyllama._ext.embeddings import add_rows, copy_pooled, copy_rows
from pyllama._ext.memory import Memory
from pyllama._ext.model import Model
from pyllama._ext.options import Options
from tests.ext.native import load
from tests.support import tiny_bert

N_EMBD = 576
NONE, MEAN = 0, 1


def options(*changes: tuple[str, ...]) -> Options:
    made = Options()
    for option in (
        ("--ctx-size", "256"),
        ("--batch-size", "64"),
        ("--ubatch-size", "64"),
        ("--parallel", "4"),
        ("--kv-unified",),
        ("--threads", "1"),
        *changes,
    ):
        made.set(*option)
    return made


def run(context: Context, *sequences: list[int]) -> Batch:
    batch = Batch(2 * context.n_batch)
    for seq_id, tokens in enumerate(sequences):
        batch.add(tokens, 0, len(tokens), seq_id, wants_logits=True)
    batch.want_logits(0, len(batch))
    assert context.decode(batch) == DECODE_OK
    return batch


@pytest.fixture(scope="module")
def context(unified_model: Model) -> Iterator[Context]:
    """A context of the default model whose rows are not pooled."""
    made = Context(unified_model, 0, options(("--pooling", "none")), embeddings=True)
    yield made
    made.close()


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """An encoder of random weights that pools by the mean."""
    return load(tiny_bert.write(tmp_path_factory.mktemp("bert") / "bert.gguf"))


@pytest.fixture
def encoder(bert: Model) -> Iterator[Context]:
    made = Context(bert, 0, options(), embeddings=True)
    yield made
    made.close()


def test_every_token_has_a_row(context: Context) -> None:
    """Sums are those of the rows, and every token of a batch may be an output."""
    assert (context.is_causal, context.pooling, context.n_outputs_max) == (True, NONE, 64)
    Memory(context).clear()
    run(context, [1, 2, 3], [4, 5])
    rows = array("f", bytes(copy_rows(context, 0, 5)))
    assert len(rows) == 5 * N_EMBD
    assert any(rows)
    total = array("d", bytes(8 * N_EMBD))
    add_rows(context, 1, 2, total)
    expected = [rows[N_EMBD + i] + rows[2 * N_EMBD + i] for i in range(N_EMBD)]
    assert total.tolist() == pytest.approx(expected, abs=1e-5)
    assert context.n_rows == 5


@pytest.mark.parametrize(("row", "count"), [(-1, 1), (0, 0), (0, 3), (2, 1), (1, 2**31 - 1)])
def test_rows_that_are_not_there_are_refused(context: Context, row: int, count: int) -> None:
    """The last batch had two."""
    Memory(context).clear()
    run(context, [1, 2])
    with pytest.raises(ValueError, match="rows"):
        copy_rows(context, row, count)
    with pytest.raises(ValueError, match="rows"):
        add_rows(context, row, count, array("d", bytes(8 * N_EMBD)))
    with pytest.raises(ValueError, match="numbers"):
        add_rows(context, 0, 1, array("d", [0.0]))
    with pytest.raises(ValueError, match="not pooled"):
        copy_pooled(context, 0)


def test_a_context_for_text_has_no_embeddings(unified_model: Model) -> None:
    """It says so, instead of giving what it does not compute."""
    context = Context(unified_model, 0, options())
    run(context, [1, 2])
    with pytest.raises(ValueError, match="not for embeddings"):
        copy_rows(context, 0, 1)
    context.close()
    with pytest.raises(RuntimeError, match="closed"):
        copy_rows(context, 0, 1)


def test_an_encoder_pools_each_sequence(encoder: Context) -> None:
    """Equal sequences of a batch have equal rows, others have not."""
    assert (encoder.is_causal, encoder.pooling) == (False, MEAN)
    run(encoder, [2, 10, 11, 3], [2, 12, 3], [2, 10, 11, 3])
    one, other, same = (array("f", bytes(copy_pooled(encoder, i))) for i in range(3))
    assert len(one) == tiny_bert.N_EMBD
    assert one.tolist() == pytest.approx(same.tolist(), abs=1e-5)
    assert one.tolist() != pytest.approx(other.tolist(), abs=1e-2)
    with pytest.raises(ValueError, match="no sequence 3"):
        copy_pooled(encoder, 3)


def test_an_encoder_takes_no_batch_that_it_would_split(bert: Model, tmp_path: Path) -> None:
    """More tokens than a micro-batch has would end the process."""
    context = Context(bert, 0, options(("--ubatch-size", "32")), embeddings=True)
    with pytest.raises(ValueError, match="n_ubatch is 32"):
        run(context, [2] * 33)
    run(context, [2] * 32)
    context.close()
