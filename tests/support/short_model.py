"""The first layers of a model as a model of their own: its formats and sizes at a part of its cost.

What it says makes no sense. It is for tests of how a model computes, not of what comes out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf


def write(source: Path, path: Path, n_layers: int) -> Path:
    """Write the first layers of a model, with all that stands around them.

    Args:
        source: the model's file.
        path: the file to write.
        n_layers: how many are kept.
    """
    reader = gguf.GGUFReader(str(source))
    fields: dict[str, Any] = dict(reader.fields)
    architecture = fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(str(path), architecture)
    for name, field in fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        is_count = name == f"{architecture}.block_count"
        is_array = field.types[0] is gguf.GGUFValueType.ARRAY
        writer.add_key_value(
            name,
            n_layers if is_count else field.contents(),
            field.types[0],
            sub_type=field.types[-1] if is_array else None,
        )
    beyond = tuple(f"blk.{layer}." for layer in range(n_layers, 1000))
    for tensor in reader.tensors:
        if not tensor.name.startswith(beyond):
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
