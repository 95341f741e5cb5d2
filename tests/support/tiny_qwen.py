"""A Qwen2-VL of random weights, whose pictures take positions in two dimensions (M-RoPE)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf

from tests.support.random_weights import write_weights

N_EMBD = 64
_N_FF = 128
_N_HEAD = 4
_N_HEAD_KV = 2
_N_LAYERS = 2
# Pairs of a head's dimensions for time, height and width.
_SECTIONS = [2, 3, 3, 0]
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>")
_MERGED = "th"
_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def _byte_tokens() -> list[str]:
    """Return what stands for each byte in a vocabulary of bytes: itself where it can be seen."""
    seen = {*range(33, 127), *range(161, 173), *range(174, 256)}
    hidden = [byte for byte in range(256) if byte not in seen]
    return [chr(byte if byte in seen else 256 + hidden.index(byte)) for byte in range(256)]


TOKENS = [*_byte_tokens(), _MERGED, *CONTROL]


def write(path: Path, *, adds_bos: bool = False) -> Path:
    """Write the model; every byte is a token, and it answers in visible letters without an end.

    Args:
        path: the file.
        adds_bos: whether its vocabulary puts a token before every text.
    """
    writer = gguf.GGUFWriter(str(path), "qwen2vl")
    _describe(writer, adds_bos=adds_bos)
    # Large enough for what was said to matter more than the last letter.
    write_weights(writer, _tensors(), embedding_spread=1.0)
    return path


def _describe(writer: Any, *, adds_bos: bool) -> None:
    writer.add_name("random weights")
    writer.add_context_length(4096)
    writer.add_embedding_length(N_EMBD)
    writer.add_block_count(_N_LAYERS)
    writer.add_feed_forward_length(_N_FF)
    writer.add_head_count(_N_HEAD)
    writer.add_head_count_kv(_N_HEAD_KV)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    writer.add_array("qwen2vl.rope.dimension_sections", _SECTIONS)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(TOKENS)
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([control if token in CONTROL else normal for token in TOKENS])
    writer.add_token_merges(["t h"])
    writer.add_eos_token_id(TOKENS.index("<|im_end|>"))
    writer.add_pad_token_id(TOKENS.index("<|endoftext|>"))
    writer.add_bos_token_id(TOKENS.index("<|endoftext|>"))
    writer.add_add_bos_token(adds_bos)
    writer.add_chat_template(_TEMPLATE)


def _tensors() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield name and dimensions, rows first, of every tensor."""
    n_kv = N_EMBD // _N_HEAD * _N_HEAD_KV
    yield "token_embd.weight", (len(TOKENS), N_EMBD)
    yield "output_norm.weight", (N_EMBD,)
    yield "output.weight", (len(TOKENS), N_EMBD)
    for layer in range(_N_LAYERS):
        block = f"blk.{layer}"
        yield f"{block}.attn_norm.weight", (N_EMBD,)
        for part, width in (("attn_q", N_EMBD), ("attn_k", n_kv), ("attn_v", n_kv)):
            yield f"{block}.{part}.weight", (width, N_EMBD)
            yield f"{block}.{part}.bias", (width,)
        yield f"{block}.attn_output.weight", (N_EMBD, N_EMBD)
        yield f"{block}.ffn_norm.weight", (N_EMBD,)
        yield f"{block}.ffn_gate.weight", (_N_FF, N_EMBD)
        yield f"{block}.ffn_up.weight", (_N_FF, N_EMBD)
        yield f"{block}.ffn_down.weight", (N_EMBD, _N_FF)
