"""Projectors with random weights, beside the default model: made in a moment, a few MB each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np

# Width of the default model's embeddings.
N_EMBD = 576
_WIDTH = 64
_N_BLOCKS = 2
_PATCH = 14
_N_MEL = 80
_STACK = 20
# Positions of the 30 s that a Whisper encoder takes at a time.
_N_AUDIO_POS = 1500


class _File:
    """A projector file in the making."""

    def __init__(self, path: Path, kind: str, seed: int) -> None:
        self._writer = gguf.GGUFWriter(str(path), "clip")
        self._random = np.random.default_rng(seed)
        self._writer.add_string("clip.projector_type", kind)

    def flag(self, name: str) -> None:
        self._writer.add_bool(f"clip.{name}", val=True)

    def number(self, name: str, value: int) -> None:
        self._writer.add_uint32(f"clip.{name}", value)

    def numbers(self, name: str, values: list[float]) -> None:
        self._writer.add_array(f"clip.{name}", values)

    def tensor(self, name: str, *shape: int, scale: float | None = None) -> None:
        """Add random weights, outermost dimension first; biases are zero, norms are one."""
        if name.endswith(".bias"):
            data = np.zeros(shape, np.float32)
        elif "ln" in name or "norm" in name:
            data = np.ones(shape, np.float32)
        else:
            spread = scale or float(np.prod(shape[1:])) ** -0.5
            data = (self._random.standard_normal(shape) * spread).astype(np.float32)
        self._writer.add_tensor(name, data)

    def linear(self, name: str, n_in: int, n_out: int) -> None:
        self.tensor(f"{name}.weight", n_out, n_in)
        self.tensor(f"{name}.bias", n_out)

    def norm(self, name: str, width: int = _WIDTH) -> None:
        self.tensor(f"{name}.weight", width)
        self.tensor(f"{name}.bias", width)

    def encoder(
        self, tower: str, prefix: str, *, n_embd: int = N_EMBD, has_key_bias: bool = True
    ) -> None:
        """Add what the encoders have in common: numbers, and blocks of attention."""
        self.number(f"{tower}.embedding_length", _WIDTH)
        self.number(f"{tower}.attention.head_count", 4)
        self.number(f"{tower}.feed_forward_length", 2 * _WIDTH)
        self.number(f"{tower}.block_count", _N_BLOCKS)
        self.number(f"{tower}.projection_dim", n_embd)
        self._writer.add_float32(f"clip.{tower}.attention.layer_norm_epsilon", 1e-5)
        for block in range(_N_BLOCKS):
            name = f"{prefix}.blk.{block}"
            for part in ("attn_q", "attn_v", "attn_out"):
                self.linear(f"{name}.{part}", _WIDTH, _WIDTH)
            self.tensor(f"{name}.attn_k.weight", _WIDTH, _WIDTH)
            if has_key_bias:
                self.tensor(f"{name}.attn_k.bias", _WIDTH)
            self.linear(f"{name}.ffn_up", _WIDTH, 2 * _WIDTH)
            self.linear(f"{name}.ffn_down", 2 * _WIDTH, _WIDTH)
            self.norm(f"{name}.ln1")
            self.norm(f"{name}.ln2")

    def vision(self, image_size: int, n_pos: int) -> None:
        """Add the part of an encoder of square pictures."""
        self.patches(image_size)
        self.tensor("v.position_embd.weight", n_pos, _WIDTH, scale=0.1)

    def patches(self, image_size: int, n_embd: int = N_EMBD) -> None:
        """Add the part of an encoder of pictures, without their positions."""
        self.flag("has_vision_encoder")
        self.encoder("vision", "v", n_embd=n_embd)
        self.number("vision.image_size", image_size)
        self.number("vision.patch_size", _PATCH)
        self.numbers("vision.image_mean", [0.5, 0.5, 0.5])
        self.numbers("vision.image_std", [0.5, 0.5, 0.5])
        self.tensor("v.patch_embd.weight", _WIDTH, 3, _PATCH, _PATCH)

    def close(self) -> None:
        self._writer.write_header_to_file()
        self._writer.write_kv_data_to_file()
        self._writer.write_tensors_to_file()
        self._writer.close()


def _mlp(path: Path, seed: int) -> None:
    """LLaVA's: 16 tokens for a picture, whatever its size."""
    file = _File(path, "mlp", seed)
    file.vision(56, 17)
    file.tensor("v.class_embd", _WIDTH)
    file.norm("v.pre_ln")
    file.linear("mm.0", _WIDTH, N_EMBD)
    file.linear("mm.2", N_EMBD, N_EMBD)
    file.close()


def _shuffle(path: Path, seed: int) -> None:
    """InternVL's: shuffles pixels, and cuts a large picture into tiles of 4 tokens each."""
    file = _File(path, "internvl", seed)
    file.vision(56, 17)
    file.number("vision.projector.scale_factor", 2)
    file.tensor("v.class_embd", _WIDTH)
    file.norm("mm.model.mlp.0", 4 * _WIDTH)
    file.linear("mm.model.mlp.1", 4 * _WIDTH, N_EMBD)
    file.linear("mm.model.mlp.3", N_EMBD, N_EMBD)
    file.close()


def _framed(path: Path, seed: int) -> None:
    """SmolVLM's (Idefics 3): tiles of 4 tokens in rows, and an overview, framed by control tokens.

    The default model has no such tokens; :func:`tests.support.vocabulary.renamed` gives it some.
    """
    file = _File(path, "idefics3", seed)
    file.vision(56, 16)
    file.number("vision.projector.scale_factor", 2)
    file.number("vision.preproc_image_size", 4 * 56)
    file.norm("v.post_ln")
    file.tensor("mm.model.fc.weight", N_EMBD, 4 * _WIDTH)
    file.close()


def _whole(path: Path, seed: int) -> None:
    """Gemma 3's: each of a picture's 16 tokens sees all the others."""
    file = _File(path, "gemma3", seed)
    file.vision(112, 64)
    file.number("vision.projector.scale_factor", 2)
    file.norm("v.post_ln")
    file.tensor("mm.input_projection.weight", _WIDTH, N_EMBD)
    file.tensor("mm.soft_emb_norm.weight", _WIDTH)
    file.close()


def _sound(path: Path, seed: int) -> None:
    """Ultravox's: a Whisper encoder, 75 tokens for each 30 s."""
    file = _File(path, "ultravox", seed)
    file.flag("has_audio_encoder")
    file.encoder("audio", "a", has_key_bias=False)
    file.number("audio.num_mel_bins", _N_MEL)
    file.number("audio.projector.stack_factor", _STACK)
    file.tensor("a.position_embd.weight", _N_AUDIO_POS, _WIDTH, scale=0.1)
    file.tensor("a.conv1d.1.weight", _WIDTH, _N_MEL, 3)
    file.tensor("a.conv1d.1.bias", _WIDTH, 1)
    file.tensor("a.conv1d.2.weight", _WIDTH, _WIDTH, 3)
    file.tensor("a.conv1d.2.bias", _WIDTH, 1)
    file.norm("a.post_ln")
    file.tensor("mm.a.norm_pre.weight", _STACK * _WIDTH)
    file.tensor("mm.a.mlp.1.weight", 2 * N_EMBD, _STACK * _WIDTH)
    file.tensor("mm.a.norm_mid.weight", N_EMBD)
    file.tensor("mm.a.mlp.2.weight", N_EMBD, N_EMBD)
    file.close()


KINDS: dict[str, Callable[[Path, int], None]] = {
    "mlp": _mlp,
    "shuffle": _shuffle,
    "framed": _framed,
    "whole": _whole,
    "sound": _sound,
}


def merger(folder: Path, n_embd: int, seed: int = 1) -> Path:
    """Write Qwen2-VL's, for a model of such a width: a token for each 28 by 28 pixels."""
    path = folder / f"merger-{seed}.gguf"
    file = _File(path, "qwen2vl_merger", seed)
    file.patches(112, n_embd)
    file.tensor("v.patch_embd.weight.1", _WIDTH, 3, _PATCH, _PATCH)
    file.norm("v.post_ln")
    file.linear("mm.0", 4 * _WIDTH, 4 * _WIDTH)
    file.linear("mm.2", 4 * _WIDTH, n_embd)
    file.close()
    return path


def named(folder: Path, kind: str) -> Path:
    """Write a file that says it is a projector of a kind, and holds nothing of it."""
    path = folder / f"{kind}.gguf"
    file = _File(path, kind, 0)
    file.flag("has_vision_encoder")
    file.tensor("v.class_embd", _WIDTH)
    file.close()
    return path


def make(folder: Path, kind: str, seed: int = 1) -> Path:
    """Write a projector of a kind into a folder; return its path."""
    path = folder / f"{kind}-{seed}.gguf"
    KINDS[kind](path, seed)
    return path
