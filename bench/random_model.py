"""Writes a large model of random weights: for measuring where no large model can be fetched.

The weights are random bytes in valid Q8_0 blocks, or random F16 numbers, with the spread of a
fresh network, so that no activation overflows. The text that such a model generates means nothing.
The vocabulary is the default model's.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bench import extras, models

_DEVIATION = 0.02
_Q8_0_WEIGHTS = 32  # of one block: a scale of two bytes, then a byte a weight
_Q8_0_BYTES = 34
# Standard deviation of a uniformly random signed byte.
_BYTE_DEVIATION = 73.9
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of a network of the llama architecture."""

    n_layers: int
    n_embd: int
    n_ff: int
    n_head: int
    n_head_kv: int

    @property
    def n_kv(self) -> int:
        """Width of the keys, and of the values."""
        return self.n_embd // self.n_head * self.n_head_kv


SHAPES = {
    "1b": Shape(n_layers=16, n_embd=2048, n_ff=8192, n_head=32, n_head_kv=8),
    "8b": Shape(n_layers=32, n_embd=4096, n_ff=14336, n_head=32, n_head_kv=8),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("out", type=Path, help="the .gguf file to write")
    parser.add_argument("--params", choices=SHAPES, default="1b", help="(default: 1b)")
    parser.add_argument("--type", choices=["q8_0", "f16"], default="q8_0", help="(default: q8_0)")
    parser.add_argument(
        "--vocabulary", default="default", help="model whose vocabulary it gets (default: default)"
    )


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Write the file; return its size and the time that it took."""
    start_s = time.perf_counter()
    source = models.resolve(args.vocabulary)
    n_params = write(args.out, SHAPES[args.params], source, weight_type=args.type)
    return {
        "path": str(args.out),
        "n_params": n_params,
        "n_bytes": args.out.stat().st_size,
        "wall_s": time.perf_counter() - start_s,
    }


def table(data: dict[str, Any]) -> str:
    """Return the record as text."""
    return (
        f"{data['path']}: {data['n_params'] / 1e9:.2f} thousand million parameters, "
        f"{data['n_bytes'] / 1e9:.2f} GB, {data['wall_s']:.1f} s"
    )


def write(path: Path, shape: Shape, vocabulary: Path, *, weight_type: str) -> int:
    """Write a model file; return the number of its parameters.

    Args:
        path: the file to write.
        shape: sizes of the network.
        vocabulary: a model file whose tokenizer is copied.
        weight_type: ``q8_0`` or ``f16``.
    """
    gguf = extras.load("gguf")
    writer = gguf.GGUFWriter(path, "llama")
    n_vocab = _copy_tokenizer(gguf, vocabulary, writer)
    _describe(gguf, writer, shape, n_vocab, weight_type)
    tensors = list(_tensors(shape, n_vocab))
    matrix: _Maker = _Q8_0(gguf) if weight_type == "q8_0" else _F16(gguf)
    makers: dict[int, _Maker] = {1: _Ones(gguf), 2: matrix}
    # One tensor at a time: the whole of a large model need not fit into memory.
    for name, dims in tensors:
        makers[len(dims)].announce(writer, name, dims)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for _, dims in tensors:
        writer.write_tensor_data(makers[len(dims)].data(dims))
    writer.close()
    return sum(math.prod(dims) for _, dims in tensors)


def _tensors(shape: Shape, n_vocab: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield name and dimensions, rows first, of every tensor."""
    yield "token_embd.weight", (n_vocab, shape.n_embd)
    for layer in range(shape.n_layers):
        block = f"blk.{layer}"
        yield f"{block}.attn_norm.weight", (shape.n_embd,)
        yield f"{block}.attn_q.weight", (shape.n_embd, shape.n_embd)
        yield f"{block}.attn_k.weight", (shape.n_kv, shape.n_embd)
        yield f"{block}.attn_v.weight", (shape.n_kv, shape.n_embd)
        yield f"{block}.attn_output.weight", (shape.n_embd, shape.n_embd)
        yield f"{block}.ffn_norm.weight", (shape.n_embd,)
        yield f"{block}.ffn_gate.weight", (shape.n_ff, shape.n_embd)
        yield f"{block}.ffn_up.weight", (shape.n_ff, shape.n_embd)
        yield f"{block}.ffn_down.weight", (shape.n_embd, shape.n_ff)
    yield "output_norm.weight", (shape.n_embd,)
    yield "output.weight", (n_vocab, shape.n_embd)


def _copy_tokenizer(gguf: Any, source: Path, writer: Any) -> int:
    """Copy every ``tokenizer.`` key; return the size of the vocabulary."""
    n_vocab = 0
    for name, field in gguf.GGUFReader(source).fields.items():
        if not name.startswith("tokenizer."):
            continue
        value = field.contents()
        if name == "tokenizer.ggml.tokens":
            n_vocab = len(value)
        sub_type = field.types[-1] if len(field.types) > 1 else None
        writer.add_key_value(name, value, field.types[0], sub_type=sub_type)
    return n_vocab


def _describe(gguf: Any, writer: Any, shape: Shape, n_vocab: int, weight_type: str) -> None:
    writer.add_name("random weights")
    writer.add_file_type(
        {"q8_0": gguf.LlamaFileType.MOSTLY_Q8_0, "f16": gguf.LlamaFileType.MOSTLY_F16}[weight_type]
    )
    writer.add_vocab_size(n_vocab)
    writer.add_context_length(131072)
    writer.add_embedding_length(shape.n_embd)
    writer.add_block_count(shape.n_layers)
    writer.add_feed_forward_length(shape.n_ff)
    writer.add_head_count(shape.n_head)
    writer.add_head_count_kv(shape.n_head_kv)
    writer.add_rope_dimension_count(shape.n_embd // shape.n_head)
    writer.add_rope_freq_base(500000.0)
    writer.add_layer_norm_rms_eps(1e-5)


class _Maker(Protocol):
    """Makes the tensors of one type."""

    def announce(self, writer: Any, name: str, dims: tuple[int, ...]) -> None:
        """Enter a tensor into the file's table."""

    def data(self, dims: tuple[int, ...]) -> Any:
        """Return the content of a tensor."""


class _Q8_0:  # noqa: N801  (llama.cpp's name of the type)
    """Matrices as Q8_0 blocks: one scale for all of them, random weights."""

    def __init__(self, gguf: Any) -> None:
        self._type = gguf.GGMLQuantizationType.Q8_0
        self._np = extras.load("numpy")
        self._random = self._np.random.default_rng(_SEED)

    def announce(self, writer: Any, name: str, dims: tuple[int, ...]) -> None:
        """Enter a tensor into the file's table."""
        n_rows, n_cols = dims
        row_bytes = n_cols // _Q8_0_WEIGHTS * _Q8_0_BYTES
        n_bytes = n_rows * row_bytes
        uint8 = self._np.dtype("uint8")
        writer.add_tensor_info(name, (n_rows, row_bytes), uint8, n_bytes, self._type)

    def data(self, dims: tuple[int, ...]) -> Any:
        """Return the bytes of a tensor."""
        n_rows, n_cols = dims
        n_blocks = n_rows * n_cols // _Q8_0_WEIGHTS
        raw = self._random.bytes(n_blocks * _Q8_0_BYTES)
        blocks = self._np.frombuffer(bytearray(raw), "uint8").reshape(n_blocks, _Q8_0_BYTES)
        scale = self._np.float16(_DEVIATION / _BYTE_DEVIATION)
        blocks[:, :2] = self._np.frombuffer(scale.tobytes(), "uint8")
        return blocks.reshape(n_rows, -1)


class _F16:
    """Matrices of half-precision numbers, uniformly random around zero."""

    def __init__(self, gguf: Any) -> None:
        self._type = gguf.GGMLQuantizationType.F16
        self._np = extras.load("numpy")
        self._random = self._np.random.default_rng(_SEED)

    def announce(self, writer: Any, name: str, dims: tuple[int, ...]) -> None:
        """Enter a tensor into the file's table."""
        n_bytes = dims[0] * dims[1] * 2
        writer.add_tensor_info(name, dims, self._np.dtype("float16"), n_bytes, self._type)

    def data(self, dims: tuple[int, ...]) -> Any:
        """Return the numbers of a tensor."""
        raw = self._np.frombuffer(self._random.bytes(dims[0] * dims[1]), "int8")
        scale = self._np.float16(_DEVIATION / _BYTE_DEVIATION)
        return (raw.astype("float16") * scale).reshape(dims)


class _Ones:
    """The vectors of the norms."""

    def __init__(self, gguf: Any) -> None:
        self._type = gguf.GGMLQuantizationType.F32
        self._np = extras.load("numpy")

    def announce(self, writer: Any, name: str, dims: tuple[int, ...]) -> None:
        """Enter a tensor into the file's table."""
        writer.add_tensor_info(name, dims, self._np.dtype("float32"), dims[0] * 4, self._type)

    def data(self, dims: tuple[int, ...]) -> Any:
        """Return the numbers of a tensor."""
        return self._np.ones(dims, "float32")
