"""llama.cpp inside a Python process: `from pyllama import Llama`."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyllama.card import ModelCard
    from pyllama.errors import PyllamaError
    from pyllama.generation import Generation
    from pyllama.generations import Generations
    from pyllama.llm import Llama, Prompt
    from pyllama.params import GenerationParams, SamplingParams
    from pyllama.results import (
        AnswerPart,
        Completion,
        Delta,
        Embedding,
        Embeddings,
        EngineStatus,
        ModelInfo,
        QueuePlace,
        Timings,
        TokenLogprobs,
        ToolCall,
        ToolCallDelta,
        Usage,
    )

try:
    __version__ = version("pyllama")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0.0.0"

_HOMES = {
    "AnswerPart": "pyllama.results",
    "Completion": "pyllama.results",
    "Delta": "pyllama.results",
    "Embedding": "pyllama.results",
    "Embeddings": "pyllama.results",
    "EngineStatus": "pyllama.results",
    "Generation": "pyllama.generation",
    "GenerationParams": "pyllama.params",
    "Generations": "pyllama.generations",
    "Llama": "pyllama.llm",
    "ModelCard": "pyllama.card",
    "ModelInfo": "pyllama.results",
    "Prompt": "pyllama.llm",
    "PyllamaError": "pyllama.errors",
    "QueuePlace": "pyllama.results",
    "SamplingParams": "pyllama.params",
    "Timings": "pyllama.results",
    "TokenLogprobs": "pyllama.results",
    "ToolCall": "pyllama.results",
    "ToolCallDelta": "pyllama.results",
    "Usage": "pyllama.results",
}

__all__ = [
    "AnswerPart",
    "Completion",
    "Delta",
    "Embedding",
    "Embeddings",
    "EngineStatus",
    "Generation",
    "GenerationParams",
    "Generations",
    "Llama",
    "ModelCard",
    "ModelInfo",
    "Prompt",
    "PyllamaError",
    "QueuePlace",
    "SamplingParams",
    "Timings",
    "TokenLogprobs",
    "ToolCall",
    "ToolCallDelta",
    "Usage",
    "__version__",
]


def __getattr__(name: str) -> Any:
    # Lazy, so that `pyllama --version` and the settings need no compiled module.
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
