"""A BERT of random weights that fits a test: an encoder, whose tokens see each other."""

from __future__ import annotations

import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

N_CTX = 64
N_EMBD = 32
_N_FF = 64
_N_HEAD = 4
_N_LAYERS = 2
_CONTROL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CLS, SEP = 2, 3
_CHARACTERS = string.ascii_lowercase + string.digits + string.punctuation
# Letters at the start of a word, then letters within one.
_TOKENS = (*_CONTROL, *(f"\u2581{letter}" for letter in _CHARACTERS), *_CHARACTERS)
N_VOCAB = len(_TOKENS)


def write(path: Path, *, pooling: int = 1) -> Path:
    """Write the model; every letter is a token.

    Args:
        path: the file to write.
        pooling: what the model says of itself: 1 mean, 2 cls, 3 last, 4 rank.
    """
    gguf: Any = pytest.importorskip("gguf")
    np: Any = pytest.importorskip("numpy")
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "bert")
    _describe(gguf, writer, pooling)
    for name, dims in _tensors():
        if name.endswith("norm.weight"):
            data = np.ones(dims, "float32")
        elif name.endswith(".bias"):
            data = np.zeros(dims, "float32")
        else:
            data = random.normal(0.0, 0.3, dims).astype("float32")
        writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _describe(gguf: Any, writer: Any, pooling: int) -> None:
    writer.add_name("random weights")
    writer.add_context_length(N_CTX)
    writer.add_embedding_length(N_EMBD)
    writer.add_block_count(_N_LAYERS)
    writer.add_feed_forward_length(_N_FF)
    writer.add_head_count(_N_HEAD)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)  # noqa: FBT003
    writer.add_uint32("bert.pooling_type", pooling)
    writer.add_tokenizer_model("bert")
    writer.add_token_list(_TOKENS)
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([control if token in _CONTROL else normal for token in _TOKENS])
    writer.add_token_type_count(2)
    writer.add_bos_token_id(CLS)
    writer.add_sep_token_id(SEP)
    writer.add_unk_token_id(1)
    writer.add_pad_token_id(0)
    writer.add_mask_token_id(4)


def _tensors() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield name and dimensions, rows first, of every tensor."""
    yield "token_embd.weight", (N_VOCAB, N_EMBD)
    yield "token_types.weight", (2, N_EMBD)
    yield "position_embd.weight", (N_CTX, N_EMBD)
    yield from _with_bias("token_embd_norm", (N_EMBD,))
    for layer in range(_N_LAYERS):
        block = f"blk.{layer}"
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield from _with_bias(f"{block}.{part}", (N_EMBD, N_EMBD))
        yield from _with_bias(f"{block}.attn_output_norm", (N_EMBD,))
        yield from _with_bias(f"{block}.ffn_up", (_N_FF, N_EMBD))
        yield from _with_bias(f"{block}.ffn_down", (N_EMBD, _N_FF))
        yield from _with_bias(f"{block}.layer_output_norm", (N_EMBD,))


def _with_bias(name: str, dims: tuple[int, ...]) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", dims
    yield f"{name}.bias", dims[:1]
