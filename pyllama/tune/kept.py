"""What earlier tunings left: to be listed, and to be forgotten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyllama.tune import store


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One result."""

    path: Path
    tuned: store.Tuned
    build: str
    """Versions of pyllama and llama.cpp that measured it."""
    identity: store.Identity
    record: Mapping[str, Any]

    @property
    def model(self) -> str:
        """Name of the model's file, as it was then."""
        return str(self.record.get("model", "a model"))

    @property
    def options(self) -> str:
        """What it says, as on a command line."""
        words = [word for option in self.tuned.options for word in option]
        return " ".join(words) or "the defaults"

    def obstacle(self, machine: store.Identity, placement: object, build: str) -> str:
        """Return why a load here and now does not use it; empty where it does."""
        if not _same(self.identity.get("machine"), machine):
            return "it is of another machine, or of other CPUs of it"
        if not _same(self.identity.get("placement"), placement):
            return "it was measured with other flags of placement"
        if self.build != build:
            return "another version measured it; tune again"
        return ""


def results(model: store.Identity | None = None) -> list[Kept]:
    """Return what is kept, the latest first; what is damaged is left out.

    Args:
        model: only that of a model, as :func:`pyllama.tune.store.model_identity` tells it.

    Raises:
        ModelNotFound: there is no folder to keep anything in.
    """
    found = [kept for path in _files() if (kept := _read(path)) is not None]
    if model is not None:
        found = [kept for kept in found if _same(kept.identity.get("model"), model)]
    return sorted(found, key=lambda kept: str(kept.record.get("date", "")), reverse=True)


def forget(model: store.Identity | None = None) -> int:
    """Delete what is kept of a model, or all of it, damaged or not; return how many files.

    Raises:
        ModelNotFound: there is no folder to keep anything in.
        OSError: one cannot be deleted.
    """
    paths = _files() if model is None else [kept.path for kept in results(model)]
    for path in paths:
        path.unlink(missing_ok=True)
    return len(paths)


def _files() -> list[Path]:
    return sorted(store.folder().glob("*.json"))


def _read(path: Path) -> Kept | None:
    try:
        data = json.loads(path.read_bytes())
        tuned, build = store.parse(data)
        identity, record = dict(data["identity"]), dict(data["record"])
    except (OSError, KeyError, TypeError, ValueError):
        return None
    return Kept(path=path, tuned=tuned, build=build, identity=identity, record=record)


def _same(read: object, made: object) -> bool:
    # JSON knows no tuples.
    return json.dumps(read, sort_keys=True) == json.dumps(made, sort_keys=True)
