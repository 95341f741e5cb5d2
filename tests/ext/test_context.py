"""Decode: what it computes, what it refuses, and that a refusal breaks nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyllama._ext.batch import Batch
from pyllama._ext.context import DECODE_NO_KV_CELLS, DECODE_OK, Context
from pyllama._ext.model import Model
from pyllama._ext.options import Options
from pyllama.errors import NativeError
from tests.ext.native import N_SLOTS, ROUNDING, Driver, argmax, difference, load


def test_sizes_are_what_the_options_say(streams: Driver, pool: Driver) -> None:
    """Streams divide the cells among the slots, the pool offers all of them to each."""
    assert (streams.context.n_ctx, streams.context.n_ctx_seq) == (1024, 256)
    assert (pool.context.n_ctx, pool.context.n_ctx_seq) == (1024, 1024)
    assert streams.context.n_seq_max == N_SLOTS
    assert streams.context.n_batch == 512
    assert streams.context.n_ubatch == 128


def test_the_model_knows_what_follows(streams: Driver, tokens: list[int]) -> None:
    """After half of a repeated text, the most likely token is the one that came before."""
    logits = streams.alone(tokens + tokens[:6])
    assert logits.format == "f"
    assert logits.shape == (49152,)
    assert argmax(logits) == tokens[6]


def test_the_same_batch_gives_the_same_logits(streams: Driver, tokens: list[int]) -> None:
    """Computing is deterministic."""
    assert difference(streams.alone(tokens), streams.alone(tokens)) == 0.0


def test_a_batch_of_sequences_is_each_of_them_alone(streams: Driver, tokens: list[int]) -> None:
    """Sequences in one batch do not see each other."""
    prompts = [tokens, tokens[3:], tokens[:5], tokens[::-1]]
    alone = [streams.alone(prompt, seq_id) for seq_id, prompt in enumerate(prompts)]
    streams.memory.clear()
    together = streams.run(*((prompt, 0, seq_id) for seq_id, prompt in enumerate(prompts)))
    for one, other in zip(alone, together, strict=True):
        assert difference(one, other) < ROUNDING
        assert argmax(one) == argmax(other)


def test_rounding_hides_no_mistake(streams: Driver, tokens: list[int]) -> None:
    """A prompt without one of its tokens has other logits, further apart than rounding."""
    whole = streams.alone(tokens)
    for missing in range(len(tokens)):
        part = tokens[:missing] + tokens[missing + 1 :]
        assert difference(whole, streams.alone(part)) > ROUNDING


def test_long_prompts_share_a_batch(streams: Driver, tokens: list[int]) -> None:
    """Prompts longer than a micro-batch come out as they do alone, but for rounding."""
    prompts = [(tokens * 10)[:length] for length in (150, 90, 33, 7)]
    alone = [streams.alone(prompt, seq_id) for seq_id, prompt in enumerate(prompts)]
    streams.memory.clear()
    together = streams.run(*((prompt, 0, seq_id) for seq_id, prompt in enumerate(prompts)))
    assert max(map(difference, alone, together)) < ROUNDING


def test_chunks_are_the_whole(streams: Driver, tokens: list[int]) -> None:
    """A prompt computed in chunks, the last of one token, ends in the same logits."""
    whole = streams.alone(tokens)
    streams.memory.clear()
    streams.run((tokens[:4], 0, 0))
    streams.run((tokens[:-1], 4, 0))
    (last,) = streams.run((tokens, len(tokens) - 1, 0))
    assert difference(whole, last) < ROUNDING
    assert argmax(whole) == argmax(last)


@pytest.mark.parametrize("token", [-1, 49152, 2**31 - 1])
def test_a_token_outside_of_the_vocabulary_is_refused(
    streams: Driver, tokens: list[int], token: int
) -> None:
    """A bad token id is a ValueError that names it; the context works on."""
    streams.fill(([*tokens, token], 0, 0))
    with pytest.raises(ValueError, match=f"token id {token} is outside"):
        streams.context.decode(streams.batch)
    assert streams.memory.pos_max(0) == -1
    streams.alone(tokens)


@pytest.mark.parametrize("seq_id", [-1, N_SLOTS, 255, 256])
@pytest.mark.parametrize("layout", ["streams", "pool"])
def test_a_sequence_id_past_the_slots_is_refused(
    request: pytest.FixtureRequest, tokens: list[int], layout: str, seq_id: int
) -> None:
    """A batch knows as many sequences as there are slots, in both layouts."""
    driver: Driver = request.getfixturevalue(layout)
    driver.fill((tokens, 0, seq_id))
    with pytest.raises(ValueError, match=rf"sequence id {seq_id} is outside of \[0, 4\)"):
        driver.context.decode(driver.batch)
    driver.alone(tokens)


def test_an_empty_batch_is_refused(streams: Driver) -> None:
    """There is nothing to compute."""
    with pytest.raises(ValueError, match="empty"):
        streams.context.decode(Batch(4))


def test_a_batch_longer_than_n_batch_is_refused(streams: Driver) -> None:
    """llama.cpp would end the process."""
    streams.fill(([1] * 513, 0, 0))
    with pytest.raises(ValueError, match="513 tokens in a batch, n_batch is 512"):
        streams.context.decode(streams.batch)


def test_more_rows_of_logits_than_there_is_room_for_are_refused(
    streams: Driver, tokens: list[int]
) -> None:
    """Past its output buffer llama.cpp would end the process; up to there it answers."""
    n_rows = streams.context.n_outputs_max
    assert N_SLOTS < n_rows <= N_SLOTS + 128
    text = (tokens * 20)[: n_rows + 1]
    for count in (n_rows + 1, n_rows):
        streams.batch.clear()
        streams.batch.add(text, 0, count, 0, wants_logits=True)
        streams.batch.want_logits(0, count)
        if count > n_rows:
            with pytest.raises(ValueError, match=f"{count} rows of logits, n_outputs_max is"):
                streams.context.decode(streams.batch)
    streams.context.decode(streams.batch)
    assert len(streams.context.logits(n_rows - 1)) == len(streams.context.logits(0))


@pytest.mark.parametrize("start", [0, 3, 7])
def test_positions_that_leave_a_gap_are_refused(
    streams: Driver, tokens: list[int], start: int
) -> None:
    """Positions must follow the last one of the sequence; a refused batch changes nothing."""
    streams.run((tokens[:5], 0, 0))
    streams.fill((tokens, start, 0))
    with pytest.raises(NativeError, match="llama_decode: -1"):
        streams.context.decode(streams.batch)
    assert streams.memory.pos_max(0) == 4
    assert argmax(streams.run((tokens, 5, 0))[0]) == argmax(streams.alone(tokens))


def test_a_full_cache_is_a_status(streams: Driver) -> None:
    """Where no KV cells are left the status says so, and the sequence is as it was before."""
    streams.run(([5] * 200, 0, 0))
    streams.fill(([5] * 257, 200, 0))
    assert streams.context.decode(streams.batch) == DECODE_NO_KV_CELLS
    assert streams.memory.pos_max(0) == 199
    streams.run(([5] * 256, 200, 0))


@pytest.mark.parametrize("row", [0, -1, 99, 100_000, -(2**31)])
def test_a_row_without_logits_is_refused(streams: Driver, tokens: list[int], row: int) -> None:
    """Only rows that asked for logits have some; a negative row does not count from the end."""
    streams.alone(tokens)
    with pytest.raises(ValueError, match=f"batch row {row} asked for no logits"):
        streams.context.logits(row)


def test_logits_are_a_copy(streams: Driver, tokens: list[int]) -> None:
    """A row that was taken does not change with the next decode."""
    logits = streams.alone(tokens)
    before = logits.tolist()
    streams.alone(tokens[:3])
    assert logits.tolist() == before


def test_threads_can_be_changed(model_path: Path, tokens: list[int]) -> None:
    """Their number changes speed, not results; none, and more than there are, is refused."""
    driver = Driver.of(load(model_path, ("--threads", "2"), ("--threads-batch", "3")))
    context = driver.context
    before = driver.alone(tokens)
    for counts in ((1, 1), (2, 1), (1, 3), (2, 3)):
        context.set_threads(*counts)
        assert (context.n_threads, context.n_threads_batch) == counts
        assert difference(driver.alone(tokens), before) < ROUNDING
    for counts in ((0, 1), (1, 0), (-1, 1)):
        with pytest.raises(ValueError, match="at least one thread"):
            context.set_threads(*counts)
    for counts in ((3, 3), (2, 4)):
        with pytest.raises(ValueError, match="has 2 and 3 threads"):
            context.set_threads(*counts)
    context.close()


def test_a_closed_context_refuses_everything(model: Model, tokens: list[int]) -> None:
    """After close() every use is a RuntimeError, and close() itself does nothing more."""
    driver = Driver.of(model)
    driver.run((tokens, 0, 0))
    context, memory = driver.context, driver.memory
    context.close()
    context.close()
    context.abort()
    assert not context.is_open
    for use in (
        lambda: context.decode(driver.batch),
        lambda: context.logits(0),
        lambda: context.set_threads(1, 1),
        lambda: context.n_ctx,
        lambda: memory.pos_max(0),
        memory.clear,
    ):
        with pytest.raises(RuntimeError, match="closed"):
            use()


def test_a_context_that_does_not_fit_is_refused(model_path: Path) -> None:
    """What llama.cpp refuses to allocate is a NativeError."""
    model = load(model_path, ("--parallel", "257"))
    with pytest.raises(NativeError, match="llama_init_from_model"):
        Context(model, 0)


def test_a_context_may_have_options_of_its_own(model: Model, tokens: list[int]) -> None:
    """Contexts of one model differ in size, and compute the same."""
    options = Options()
    for option in (("--ctx-size", "512"), ("--ubatch-size", "64"), ("--parallel", "2")):
        options.set(*option)
    own, usual = Driver.of(model, options), Driver.of(model)
    sizes = (own.context.n_ctx, own.context.n_ctx_seq, own.context.n_ubatch)
    argmaxes = {argmax(driver.alone(tokens)) for driver in (own, usual)}
    own.context.close()
    usual.context.close()
    assert sizes == (512, 256, 64)
    assert len(argmaxes) == 1


def test_options_of_a_context_are_finished_by_it(model: Model) -> None:
    """What was given to a context cannot be changed afterwards."""
    options = Options()
    options.set("--parallel", "1")
    Context(model, 0, options).close()
    with pytest.raises(RuntimeError):
        options.set("--ctx-size", "512")


def test_none_is_no_batch(streams: Driver) -> None:
    """Typed arguments refuse None instead of reading through it."""
    with pytest.raises(TypeError):
        streams.context.decode(None)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Context(None, 0)  # type: ignore[arg-type]
    assert DECODE_OK == 0
