"""The thread that owns the context: loader, runner, streams, loop."""

from pyllama.engine.admission import EngineState
from pyllama.engine.assemble import make_runner, start_engine
from pyllama.engine.embedder import Embedder, EmbeddingJob
from pyllama.engine.engine import Engine
from pyllama.engine.host_memory import cache_bytes
from pyllama.engine.loader import (
    LoadedModel,
    can_offload,
    check,
    device_names,
    load,
    second_context,
)
from pyllama.engine.runner import LlamaRunner, Runner
from pyllama.engine.samplers import make_sampler
from pyllama.engine.stream import Failed, Mailbox, StreamEvent, TokenStream

__all__ = [
    "Embedder",
    "EmbeddingJob",
    "Engine",
    "EngineState",
    "Failed",
    "LlamaRunner",
    "LoadedModel",
    "Mailbox",
    "Runner",
    "StreamEvent",
    "TokenStream",
    "cache_bytes",
    "can_offload",
    "check",
    "device_names",
    "load",
    "make_runner",
    "make_sampler",
    "second_context",
    "start_engine",
]
