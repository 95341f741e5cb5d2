"""Writes an encoder of pictures with random weights: for measuring where none can be fetched.

It is of InternVL's kind: a vision transformer, whose patches are put together by fours, and which
sees a large picture as tiles. What it tells the text model means nothing, but other pictures tell
other things, and the time is that of a real encoder of the shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import extras

_PATCH = 14
# Patches along each side that make one token.
_MERGED = 2
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of an encoder."""

    width: int
    n_ff: int
    n_head: int
    n_blocks: int
    image_size: int
    """Pixels along each side of a tile."""

    @property
    def n_pos(self) -> int:
        """Patches of a tile, and the class beside them."""
        return (self.image_size // _PATCH) ** 2 + 1


SHAPES = {
    # 4 tokens for a tile of 56 x 56 pixels, in a millisecond.
    "small": Shape(width=64, n_ff=128, n_head=4, n_blocks=2, image_size=56),
    # 64 tokens for a tile of 224 x 224 pixels, in some tenths of a second on two cores.
    "large": Shape(width=512, n_ff=2048, n_head=8, n_blocks=12, image_size=224),
}


def write(path: Path, shape: Shape, n_embd: int) -> None:
    """Write an encoder.

    Args:
        path: the file to write.
        shape: its sizes.
        n_embd: width of the text model's embeddings.
    """
    gguf, np = extras.load("gguf"), extras.load("numpy")
    writer = gguf.GGUFWriter(path, "clip")
    _describe(writer, shape, n_embd)
    random = np.random.default_rng(_SEED)
    for name, dims in _tensors(shape, n_embd):
        writer.add_tensor(name, _weights(np, random, name, dims))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: Any, shape: Shape, n_embd: int) -> None:
    writer.add_string("clip.projector_type", "internvl")
    writer.add_bool("clip.has_vision_encoder", True)  # noqa: FBT003  (gguf's order)
    writer.add_uint32("clip.vision.embedding_length", shape.width)
    writer.add_uint32("clip.vision.attention.head_count", shape.n_head)
    writer.add_uint32("clip.vision.feed_forward_length", shape.n_ff)
    writer.add_uint32("clip.vision.block_count", shape.n_blocks)
    writer.add_uint32("clip.vision.projection_dim", n_embd)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_uint32("clip.vision.image_size", shape.image_size)
    writer.add_uint32("clip.vision.patch_size", _PATCH)
    writer.add_uint32("clip.vision.projector.scale_factor", _MERGED)
    writer.add_array("clip.vision.image_mean", [0.5] * 3)
    writer.add_array("clip.vision.image_std", [0.5] * 3)


def _tensors(shape: Shape, n_embd: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield name and dimensions, rows first, of every tensor."""
    width, merged = shape.width, shape.width * _MERGED**2
    yield "v.patch_embd.weight", (width, 3, _PATCH, _PATCH)
    yield "v.class_embd", (width,)
    yield "v.position_embd.weight", (shape.n_pos, width)
    for block in range(shape.n_blocks):
        name = f"v.blk.{block}"
        for part in ("attn_q", "attn_k", "attn_v", "attn_out"):
            yield from _linear(f"{name}.{part}", width, width)
        yield from _linear(f"{name}.ffn_up", width, shape.n_ff)
        yield from _linear(f"{name}.ffn_down", shape.n_ff, width)
        for part in ("ln1", "ln2"):
            yield from _norm(f"{name}.{part}", width)
    yield from _norm("mm.model.mlp.0", merged)
    yield from _linear("mm.model.mlp.1", merged, n_embd)
    yield from _linear("mm.model.mlp.3", n_embd, n_embd)


def _linear(name: str, n_in: int, n_out: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (n_out, n_in)
    yield f"{name}.bias", (n_out,)


def _norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _weights(np: Any, random: Any, name: str, dims: tuple[int, ...]) -> Any:
    """Return random numbers that keep what passes at its size; biases are zero, norms are one."""
    if name.endswith(".bias"):
        return np.zeros(dims, np.float32)
    if len(dims) == 1 and name.endswith(".weight"):
        return np.ones(dims, np.float32)
    numbers = random.standard_normal(dims, np.float32)
    if name == "v.position_embd.weight":
        return numbers / 10
    return numbers * np.float32(float(np.prod(dims[1:])) ** -0.5)
