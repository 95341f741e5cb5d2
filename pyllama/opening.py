"""From settings to an engine that runs over a loaded model, in a way that Ctrl-C can end."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from pyllama import hub
from pyllama.card import ModelCard
from pyllama.engine import check, load, start_engine
from pyllama.interruptible import interruptible
from pyllama.text import TextCodec

if TYPE_CHECKING:
    from pyllama.engine import Embedder, Engine, LoadedModel
    from pyllama.interruptible import Cancellation
    from pyllama.settings import Settings


class OpenModel:
    """A model with its engine. The engine ends with the last reference, or with the interpreter.

    Args:
        loaded: freed by the engine at its end.
        codec: its text side.
        settings: the operator's.
    """

    def __init__(self, loaded: LoadedModel, codec: TextCodec, settings: Settings) -> None:
        self.info = loaded.info
        self.n_ctx = loaded.limits.n_ctx_seq
        self.n_slots = loaded.limits.n_slots
        self.card = ModelCard.of(loaded.info, codec)
        self.codec: TextCodec | None = codec
        """None once the model is closed."""
        self.engine: Engine
        self.embedder: Embedder
        self.engine, self.embedder = start_engine(loaded, settings)
        weakref.finalize(self, self.engine.close)

    def close(self) -> None:
        """End every request, stop the engine and forget the model; idempotent."""
        self.engine.close()
        # Threads that are in a call hold the model a little longer.
        self.codec = None


def open_model(settings: Settings) -> OpenModel:
    """Load what the settings say, and start its engine.

    Raises:
        ModelLoadError: the model cannot be found or loaded.
        ConfigError: the settings contradict each other.
    """
    # Fetching is Python's, which Ctrl-C ends by itself.
    path = hub.resolve(settings.model)

    def work(cancellation: Cancellation) -> OpenModel:
        loaded = load(settings, path, cancellation)
        try:
            return OpenModel(loaded, TextCodec.of(loaded, settings), settings)
        except BaseException:
            loaded.close()
            raise

    return interruptible(work, OpenModel.close)


def check_model(settings: Settings) -> None:
    """Look at the model that the settings name as a load of it would; takes memory for none of it.

    Raises:
        ModelLoadError: the model cannot be found, or could not be loaded.
        ConfigError: the settings contradict each other.
    """
    path = hub.resolve(settings.model)
    TextCodec.check(*check(settings, path), settings)
