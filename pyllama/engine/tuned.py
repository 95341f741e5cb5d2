"""Which settings a machine's own measurements add to the operator's."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from pyllama import __version__
from pyllama._ext import backend
from pyllama.settings import Settings
from pyllama.settings.tuned import beneath, placement
from pyllama.tune import store

logger = logging.getLogger(__name__)


def identity(settings: Settings, path: Path) -> dict[str, Any]:
    """Return what a measurement holds for: this model, this machine, computed in these places."""
    return {
        "model": store.model_identity(path),
        "machine": machine(),
        "placement": placement(settings),
    }


def machine() -> dict[str, Any]:
    """Return what tells this machine from others."""
    backend.initialise()
    return {**store.machine_identity(backend.devices()), "features": backend.system_info()}


def build() -> str:
    """Return the versions whose measurements count."""
    return f"pyllama {__version__}, llama.cpp {backend.llama_cpp_version()}"


def with_tuned(settings: Settings, path: Path) -> Settings:
    """Return the settings with what ``pyllama tune`` found beneath them; the log says what."""
    if not settings.tuned:
        return settings
    found = store.read(identity(settings, path), build())
    if found is None:
        return settings
    tuned, file = found
    made = beneath(settings, tuned)
    used = made.options[: len(made.options) - len(settings.options)]
    words = " ".join(word for option in used for word in option)
    dropped = [option[0] for option in tuned.options if option not in used]
    logger.info(
        "tuned settings: %s%s (%s; --no-tuned turns them off)",
        words or "the defaults",
        f"; not {', '.join(dropped)}, which the options given decide" if dropped else "",
        file,
    )
    return made
