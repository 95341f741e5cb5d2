"""Projectors with random weights beside the default model: cutting, encoding, KV cells."""

from __future__ import annotations

import array
import random
from pathlib import Path

import pytest

from pyllama._ext.context import DECODE_ABORTED, DECODE_NO_KV_CELLS, DECODE_OK
from pyllama._ext.media import MediaChunk, Projector
from pyllama._ext.model import Model
from pyllama._ext.options import Options
from pyllama._ext.vocab import Vocab
from pyllama.errors import NativeError
from tests.ext.native import Driver, difference
from tests.support import projectors

Pieces = tuple[tuple[int, ...] | MediaChunk, ...]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("projectors")


@pytest.fixture(scope="module")
def loaded(model: Model, folder: Path) -> dict[str, Projector]:
    """One projector of each kind."""
    return {kind: Projector(model, projectors.make(folder, kind)) for kind in projectors.KINDS}


def picture(seed: int = 0, width: int = 60, height: int = 40) -> tuple[bytes, int, int]:
    return random.Random(seed).randbytes(3 * width * height), width, height  # noqa: S311


def sound(seed: int = 0, n_samples: int = 16000) -> bytes:
    noise = random.Random(seed)  # noqa: S311
    return array.array("f", [noise.uniform(-1, 1) for _ in range(n_samples)]).tobytes()


def cut(projector: Projector, seed: int = 0) -> Pieces:
    return projector.picture(*picture(seed)) if projector.has_vision else projector.sound(sound())


def chunk_of(pieces: Pieces) -> MediaChunk:
    return next(piece for piece in pieces if isinstance(piece, MediaChunk))


@pytest.mark.parametrize(
    ("kind", "n_tokens", "is_causal"),
    [("mlp", 16, True), ("shuffle", 4, True), ("whole", 16, False), ("sound", 75, True)],
)
def test_each_kind_of_projector_makes_cells(
    loaded: dict[str, Projector], streams: Driver, kind: str, n_tokens: int, *, is_causal: bool
) -> None:
    """A chunk takes a cell for each of its tokens, and text can follow it."""
    chunk = chunk_of(cut(loaded[kind]))
    assert (chunk.n_tokens, chunk.n_pos, chunk.is_causal) == (n_tokens, n_tokens, is_causal)
    assert chunk.decode(streams.context, chunk.encode(), 0, 1) == DECODE_OK
    assert streams.memory.pos_max(1) == n_tokens - 1
    assert streams.run(([0] * n_tokens + [5, 6], n_tokens, 1))


def test_projectors_say_what_they_take(loaded: dict[str, Projector]) -> None:
    """Pictures or sound, its rate, and the width of the text model."""
    mlp, whisper = loaded["mlp"], loaded["sound"]
    assert (mlp.has_vision, mlp.has_audio, mlp.sample_rate) == (True, False, None)
    assert (whisper.has_vision, whisper.has_audio, whisper.sample_rate) == (False, True, 16000)
    assert (mlp.n_embd, mlp.is_mrope) == (projectors.N_EMBD, False)


def test_what_follows_depends_on_the_picture(loaded: dict[str, Projector], streams: Driver) -> None:
    """Two pictures change the logits after them, the same picture does not."""

    def after(seed: int, seq_id: int) -> memoryview:
        chunk = chunk_of(cut(loaded["mlp"], seed))
        assert chunk.decode(streams.context, chunk.encode(), 0, seq_id) == DECODE_OK
        return streams.run(([0] * chunk.n_tokens + [5, 6], chunk.n_tokens, seq_id))[0]

    one, same, other = after(1, 0), after(1, 1), after(2, 2)
    assert difference(one, same) == 0.0
    assert difference(one, other) > 0.1


def test_a_large_picture_is_cut_into_tiles(loaded: dict[str, Projector], model: Model) -> None:
    """Tiles come in their order, within the text that the projector puts around them."""
    pieces = loaded["shuffle"].picture(*picture(0, 150, 100))
    vocab = Vocab(model)
    assert pieces[0] == tuple(vocab.tokenize("<img>"))
    assert pieces[-1] == tuple(vocab.tokenize("</img>"))
    assert [isinstance(piece, MediaChunk) for piece in pieces[1:-1]] == [True] * 7


def test_a_chunk_that_sees_all_of_itself_fits_a_micro_batch(
    loaded: dict[str, Projector], model: Model
) -> None:
    """One that does not is refused: llama.cpp would end the process."""
    options = Options()
    for option in (("--ubatch-size", "8"), ("--ctx-size", "256"), ("--parallel", "1")):
        options.set(*option)
    driver = Driver.of(model, options)
    chunk = chunk_of(cut(loaded["whole"]))
    with pytest.raises(ValueError, match="micro-batch"):
        chunk.decode(driver.context, chunk.encode(), 0, 0)
    driver.context.close()


def test_cells_run_out_and_steps_are_interrupted_as_with_text(
    loaded: dict[str, Projector], streams: Driver
) -> None:
    """The results are those of a decode of tokens."""
    chunk = chunk_of(cut(loaded["mlp"]))
    embeddings = chunk.encode()
    streams.context.abort()
    assert chunk.decode(streams.context, embeddings, 0, 0) == DECODE_ABORTED
    streams.context.clear_abort()
    streams.memory.clear()
    n_ctx = streams.context.n_ctx_seq
    for start in range(0, n_ctx, chunk.n_tokens):
        assert chunk.decode(streams.context, embeddings, start, 0) == DECODE_OK
    assert chunk.decode(streams.context, embeddings, n_ctx, 0) == DECODE_NO_KV_CELLS


def test_text_stays_causal_after_what_sees_all_of_itself(
    loaded: dict[str, Projector], streams: Driver
) -> None:
    """Whether such a piece was computed, interrupted or refused."""
    chunk = chunk_of(cut(loaded["whole"]))
    embeddings = chunk.encode()
    streams.context.abort()
    assert chunk.decode(streams.context, embeddings, 0, 0) == DECODE_ABORTED
    assert streams.context.is_causal
    streams.context.clear_abort()
    streams.memory.clear()
    assert chunk.decode(streams.context, embeddings, 0, 0) == DECODE_OK
    assert streams.context.is_causal
    with pytest.raises(NativeError):
        chunk.decode(streams.context, embeddings, 3, 0)
    assert streams.context.is_causal


def test_what_does_not_fit_is_refused(loaded: dict[str, Projector], streams: Driver) -> None:
    """Sizes, positions, ids and embeddings of something else are errors, not a crash."""
    rgb, width, height = picture()
    mlp, whisper = loaded["mlp"], loaded["sound"]
    for args in ((rgb, width, height + 1), (b"", 0, 0), (b"", -1, 5), (b"", 1 << 20, 1)):
        with pytest.raises(ValueError, match=r"pixels|picture"):
            mlp.picture(*args)
    for samples in (b"", bytes(4), bytes(9)):
        with pytest.raises(ValueError, match="no sound"):
            whisper.sound(samples)
    with pytest.raises(ValueError, match="takes no sound"):
        mlp.sound(sound())
    with pytest.raises(ValueError, match="takes no pictures"):
        whisper.picture(*picture())
    chunk = chunk_of(cut(mlp))
    embeddings = chunk.encode()
    for data, start, seq_id in ((b"", 0, 0), (embeddings, -1, 0), (embeddings, 0, 99)):
        with pytest.raises(ValueError, match=r"embeddings|position|sequence"):
            chunk.decode(streams.context, data, start, seq_id)
    # A gap in the positions is llama.cpp's to refuse.
    assert chunk.decode(streams.context, embeddings, 0, 0) == DECODE_OK
    with pytest.raises(NativeError):
        chunk.decode(streams.context, embeddings, 3, 0)


def test_files_that_are_no_projector_are_refused(
    model: Model, model_path: Path, folder: Path
) -> None:
    """A missing file, a text, a text model and half a projector raise."""
    text = folder / "text.gguf"
    text.write_text("no GGUF", encoding="utf-8")
    half = folder / "half.gguf"
    half.write_bytes(projectors.make(folder, "mlp", 7).read_bytes()[:4000])
    for path in (folder / "nothing", text, half, model_path):
        with pytest.raises(NativeError):
            Projector(model, path)


def test_a_projector_whose_pieces_depend_on_the_rest_is_refused(model: Model, folder: Path) -> None:
    """They could not be cached; one of an unknown kind is refused by mtmd itself."""
    for kind in ("deepseek4v", "hunyuanvl"):
        with pytest.raises(NativeError, match="depend on what is before"):
            Projector(model, projectors.named(folder, kind))
    with pytest.raises(NativeError, match="refused the file"):
        Projector(model, projectors.named(folder, "unheard-of"))


def test_a_chunk_outlives_what_made_it(model: Model, folder: Path, streams: Driver) -> None:
    """The projector is freed with the last chunk."""
    chunk = chunk_of(cut(Projector(model, projectors.make(folder, "mlp", 8))))
    assert chunk.decode(streams.context, chunk.encode(), 0, 0) == DECODE_OK
