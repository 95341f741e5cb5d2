"""What a loaded model tells of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyllama._ext.context import Context
from pyllama._ext.model import Model
from pyllama._ext.options import Options
from pyllama._ext.vocab import Vocab
from pyllama.errors import NativeError
from tests.support.memory import resident_bytes


def test_metadata_is_the_header_of_the_file(model: Model) -> None:
    """Every scalar of the GGUF header is there as text, arrays as llama.cpp prints them."""
    metadata = model.metadata()
    assert metadata["general.architecture"] == "llama"
    assert metadata["tokenizer.ggml.model"] == "gpt2"
    assert metadata["llama.context_length"] == str(model.n_ctx_train)
    assert metadata["llama.embedding_length"] == str(model.n_embd)
    assert metadata["llama.block_count"] == str(model.n_layer)
    assert metadata["llama.attention.head_count"] == str(model.n_head)
    assert metadata["llama.attention.head_count_kv"] == str(model.n_head_kv)


def test_a_long_value_is_whole(model: Model) -> None:
    """A value longer than any fixed buffer is not cut."""
    assert len(model.metadata()["tokenizer.chat_template"]) > 300
    assert model.metadata()["tokenizer.chat_template"].endswith(("}", "\n"))


def test_sizes_agree(model: Model, model_path: Path) -> None:
    """The tensors take almost the whole file, and 135 million parameters are that many."""
    assert 0.9 * model_path.stat().st_size < model.size_bytes < model_path.stat().st_size
    assert 130e6 < model.n_params < 165e6
    assert model.description.startswith("llama")
    assert model.path == str(model_path)


def test_kind(model: Model) -> None:
    """A plain transformer has a decoder, and no encoder, window or recurrent state."""
    assert model.has_decoder
    assert not model.has_encoder
    assert not model.is_recurrent
    assert not model.is_hybrid
    assert not model.is_diffusion
    assert model.n_swa == 0


def test_a_path_with_a_nul_character_is_refused() -> None:
    """C would see the start of such a path only."""
    with pytest.raises(ValueError, match="NUL"):
        Model("model.gguf\0.txt", Options())


def test_options_that_are_no_options_are_refused(model_path: Path) -> None:
    """None is not taken for the defaults."""
    with pytest.raises(TypeError):
        Model(model_path, None)  # type: ignore[arg-type]


def test_a_trial_reads_all_but_the_weights(model: Model, model_path: Path) -> None:
    """Facts and vocabulary are those of the model; its weights take no memory."""
    n_before = resident_bytes("RssAnon")
    trial = Model(model_path, Options(), is_trial=True)
    assert resident_bytes("RssAnon") - n_before < 0.5 * model.size_bytes
    assert trial.metadata() == model.metadata()
    assert trial.n_params == model.n_params
    assert Vocab(trial).tokenize("a b c") == Vocab(model).tokenize("a b c")


def test_a_trial_finds_what_a_load_would(model_path: Path, tmp_path: Path) -> None:
    """A tensor that is not there, and an architecture that nobody knows."""
    data = model_path.read_bytes()
    for name, other in ((b"blk.3.ffn_up.weight", b"blk.3.ffn_xx.weight"), (b"llama", b"lxxxx")):
        path = tmp_path / "other.gguf"
        path.write_bytes(data.replace(name, other))
        with pytest.raises(NativeError):
            Model(path, Options(), is_trial=True)


def test_cancelled_options_load_nothing(model: Model, model_path: Path) -> None:
    """A load and a context by them fail, and say why."""
    options = Options()
    options.cancel()
    with pytest.raises(NativeError, match="cancelled"):
        Model(model_path, options)
    with pytest.raises(NativeError, match="cancelled"):
        Context(model, 512, options)
