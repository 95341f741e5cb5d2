"""What Ollama's routes say of a model, beside its answers."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .encode import utc
from .names import stem

if TYPE_CHECKING:
    from pyllama import Llama, ModelInfo

_HEAD_BYTES = 2**20
# llama.cpp ends its description of a model with the type of most of the weights.
_QUANTIZATION = re.compile(
    r"\b(F32|F16|BF16|I?Q\d\w*|TQ\d_\d|MXFP4|NVFP4)(?: - (Small|Medium|Large))?"
)
_SIZES = ((10**12, "T", 1), (10**9, "B", 1), (10**6, "M", 2), (10**3, "K", 2))


class FileFacts(NamedTuple):
    """What a file system knows of a model."""

    size: int
    modified_at: str
    digest: str


def file_facts(info: ModelInfo) -> FileFacts:
    """Look at a model's file; one that is gone is told by what was known when it was loaded."""
    try:
        with Path(info.path).open("rb") as file:
            stat = Path(info.path).stat()
            digest = hashlib.sha256(f"{stat.st_size} ".encode() + file.read(_HEAD_BYTES))
        return FileFacts(stat.st_size, utc(stat.st_mtime_ns), digest.hexdigest())
    except OSError:
        digest = hashlib.sha256(f"{info.size_bytes} {info.id}".encode())
        return FileFacts(info.size_bytes, utc(info.created * 10**9), digest.hexdigest())


def listed(info: ModelInfo) -> dict[str, Any]:
    """Return what every list of models says of one."""
    return {"name": stem(info.id), "model": info.id}


def details(info: ModelInfo) -> dict[str, Any]:
    """Return the ``details`` of a model."""
    return {
        "parent_model": "",
        "format": "gguf",
        "family": info.architecture,
        # Ollama's word for all projectors.
        "families": [info.architecture, *(["clip"] if info.has_vision or info.has_audio else [])],
        "parameter_size": _rounded(info.n_params),
        "quantization_level": _quantization(info.description),
    }


def capabilities(llm: Llama) -> list[str]:
    """Return what requests may ask of a model, in Ollama's words."""
    if not llm.info.can_generate:
        # Every model embeds, but to clients the word means one that does nothing else.
        return ["embedding"]
    card = llm.card
    can = {
        "completion": True,
        "tools": card.can_call,
        "insert": card.can_infill,
        "thinking": card.can_think,
        "vision": llm.info.has_vision,
        "audio": llm.info.has_audio,
    }
    return [name for name, is_there in can.items() if is_there]


def parameters(llm: Llama) -> str:
    """Return what holds where a request says nothing: a name and a value a line."""
    defaults = llm.defaults.as_dict()
    stops = defaults.pop("stop")
    names = (
        "temperature",
        "top_k",
        "top_p",
        "min_p",
        "repeat_penalty",
        "presence_penalty",
        "frequency_penalty",
        "seed",
    )
    values = {
        "num_ctx": llm.n_ctx,
        "num_predict": defaults["max_tokens"],
        **{name: defaults[name] for name in names},
    }
    lines = [f"{name:30} {value}" for name, value in values.items()]
    return "\n".join([*lines, *(f"{'stop':30} {_quoted(text)}" for text in stops)])


def modelfile(llm: Llama) -> str:
    """Return the same as a Modelfile, which names the file without its folder.

    The template is left out: that of a Modelfile would be in Go's form.
    """
    lines = [f"FROM {_quoted(Path(llm.info.path).name)}"]
    lines += [
        f"PARAMETER {' '.join(line.split(maxsplit=1))}" for line in parameters(llm).split("\n")
    ]
    return "\n".join(lines) + "\n"


def _rounded(count: int) -> str:
    for size, letter, n_digits in _SIZES:
        if count >= size:
            return f"{count / size:.{n_digits}f}{letter}"
    return str(count)


def _quantization(description: str) -> str:
    found = _QUANTIZATION.search(description)
    if found is None:
        return "unknown"
    return found[1] + (f"_{found[2][0]}" if found[2] else "")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
