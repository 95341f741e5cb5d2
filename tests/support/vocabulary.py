"""Model files with other words for some of their tokens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf

_TOKENS = "tokenizer.ggml.tokens"


def renamed(model: Path, copy: Path, names: Mapping[str, str]) -> Path:
    """Copy a model, with new names for tokens; their embeddings stay.

    Args:
        model: the file.
        copy: where the other one is written.
        names: from a token of the vocabulary to what it is called in the copy.
    """
    reader = gguf.GGUFReader(str(model))
    field: Any = reader.get_field("general.architecture")
    writer = gguf.GGUFWriter(str(copy), field.contents())
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue
        value = field.contents()
        if name == _TOKENS:
            value = [names.get(token, token) for token in value]
        kinds = field.types
        writer.add_key_value(name, value, kinds[0], kinds[-1] if len(kinds) > 1 else None)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return copy
