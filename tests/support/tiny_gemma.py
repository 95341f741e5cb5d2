"""A Gemma 3 of random weights: five of its six layers see no farther than a window of tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf

from tests.support.random_weights import write_weights
from tests.support.tiny_qwen import CONTROL, TOKENS

WINDOW = 64
_N_EMBD = 64
_N_FF = 128
_N_HEAD = 4
_N_HEAD_KV = 2
_HEAD = 16
_N_LAYERS = 6


def write(path: Path) -> Path:
    """Write the model; every byte is a token, and it answers in visible letters without an end."""
    writer = gguf.GGUFWriter(str(path), "gemma3")
    _describe(writer)
    # What was said matters more than the last letter: layers add vectors of length 1 for each
    # dimension to an embedding that the model multiplies by the root of its length.
    write_weights(writer, _tensors(), embedding_spread=0.05)
    return path


def _describe(writer: Any) -> None:
    writer.add_name("random weights")
    writer.add_context_length(4096)
    writer.add_embedding_length(_N_EMBD)
    writer.add_block_count(_N_LAYERS)
    writer.add_feed_forward_length(_N_FF)
    writer.add_head_count(_N_HEAD)
    writer.add_head_count_kv(_N_HEAD_KV)
    writer.add_key_length(_HEAD)
    writer.add_value_length(_HEAD)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_sliding_window(WINDOW)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(TOKENS)
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([control if token in CONTROL else normal for token in TOKENS])
    writer.add_token_merges(["t h"])
    writer.add_eos_token_id(TOKENS.index("<|im_end|>"))
    writer.add_pad_token_id(TOKENS.index("<|endoftext|>"))
    writer.add_add_bos_token(False)  # noqa: FBT003


def _tensors() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield name and dimensions, rows first, of every tensor."""
    n_query, n_key = _HEAD * _N_HEAD, _HEAD * _N_HEAD_KV
    yield "token_embd.weight", (len(TOKENS), _N_EMBD)
    yield "output_norm.weight", (_N_EMBD,)
    yield "output.weight", (len(TOKENS), _N_EMBD)
    for layer in range(_N_LAYERS):
        block = f"blk.{layer}"
        for norm in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
            yield f"{block}.{norm}.weight", (_N_EMBD,)
        for norm in ("attn_q_norm", "attn_k_norm"):
            yield f"{block}.{norm}.weight", (_HEAD,)
        for part, width in (("attn_q", n_query), ("attn_k", n_key), ("attn_v", n_key)):
            yield f"{block}.{part}.weight", (width, _N_EMBD)
        yield f"{block}.attn_output.weight", (_N_EMBD, n_query)
        yield f"{block}.ffn_gate.weight", (_N_FF, _N_EMBD)
        yield f"{block}.ffn_up.weight", (_N_FF, _N_EMBD)
        yield f"{block}.ffn_down.weight", (_N_EMBD, _N_FF)
