"""What tiny models of random weights have in common: their tensors, and the end of their file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np


def write_weights(
    writer: Any, tensors: Iterable[tuple[str, tuple[int, ...]]], embedding_spread: float
) -> None:
    """Write tensors of fixed random values to a described model, and close its file.

    Args:
        writer: a ``gguf.GGUFWriter`` that has the metadata.
        tensors: name and dimensions, rows first, of each.
        embedding_spread: standard deviation of the embeddings of tokens.
    """
    random = np.random.default_rng(0)
    for name, shape in tensors:
        if name.endswith("norm.weight"):
            data = np.ones(shape, np.float32)
        elif name.endswith(".bias"):
            data = np.zeros(shape, np.float32)
        else:
            is_embedding = name.startswith("token_embd")
            spread = embedding_spread if is_embedding else 2.0 * shape[1] ** -0.5
            data = (random.standard_normal(shape) * spread).astype(np.float32)
        if name == "output.weight":
            # What is not a visible letter is never the likeliest.
            data[:33] = data[127:] = 0
        writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
