"""Puts an engine together from what was loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyllama.engine.embedder import Embedder
from pyllama.engine.engine import Engine
from pyllama.engine.host_memory import cache_bytes
from pyllama.engine.idle_runner import IdleRunner
from pyllama.engine.runner import LlamaRunner
from pyllama.sched import Scheduler

if TYPE_CHECKING:
    from pyllama.engine.loader import LoadedModel
    from pyllama.engine.runner import Runner
    from pyllama.settings import Settings


def make_runner(loaded: LoadedModel) -> Runner:
    """Return what runs plans on a model's context, or nothing where there is none."""
    if loaded.context is None:
        return IdleRunner(loaded.limits)
    return LlamaRunner(loaded.context, loaded.limits)


def start_engine(loaded: LoadedModel, settings: Settings) -> tuple[Engine, Embedder]:
    """Start an engine over a loaded model, which it frees when it stops."""
    step_s = settings.step_ms / 1e3
    embedder = Embedder(loaded.open_embeddings, step_s=step_s)
    engine = Engine(
        make_runner(loaded),
        Scheduler(
            loaded.limits,
            step_s=step_s,
            max_ram_bytes=cache_bytes(settings.cache_ram),
            drafter=loaded.drafter,
        ),
        embedder,
        max_queue=settings.max_queue,
        on_stop=loaded.close,
    )
    return engine, embedder
