"""Where a tuning's result is kept: one JSON file for a model, a machine and a placement."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyllama.errors import ModelNotFound
from pyllama.hub.cache import cache_folder

logger = logging.getLogger(__name__)

FORMAT = 1
# The head of a GGUF file: its metadata begin here. Two models that agree in it and in their size
# have the same shape and quantisation, so the same settings are best for both.
_HEAD_BYTES = 1 << 20

Identity = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What a tuning found, and what it holds for."""

    options: tuple[tuple[str, ...], ...]
    """Options for llama.cpp by their long names; none where its defaults are best."""
    n_slots: int
    """Slots that the KV layout was measured with."""
    n_ctx_slot: int
    """Context of a slot, in KV cells, up to which all of it was measured."""


def model_identity(path: Path) -> dict[str, Any]:
    """Return what tells a model file from others, wherever it lies. Reads a megabyte."""
    with path.open("rb") as file:
        head = hashlib.sha256(file.read(_HEAD_BYTES)).hexdigest()
        return {"n_bytes": os.fstat(file.fileno()).st_size, "head": head}


def machine_identity(devices: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what tells a machine from others: its devices, and how many CPUs we may use."""
    # Rounded, since a kernel's update moves the total by some pages.
    return {
        "n_cpus": n_cpus(),
        "devices": [
            {"description": d["description"], "gib": round(d["total_bytes"] / 2**30)}
            for d in devices
        ],
    }


def cpus() -> set[int]:
    """Return the CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def n_cpus() -> int:
    """Return how many CPUs this process may use."""
    return len(cpus())


def folder() -> Path:
    """Return the folder of results; it need not exist. Raises ModelNotFound without a home."""
    return cache_folder() / "tuned"


def file_of(identity: Identity) -> Path:
    """Return the file of a model, machine and placement; it need not exist.

    Raises:
        ModelNotFound: there is no folder to keep anything in.
    """
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    return folder() / f"{key}.json"


def read(identity: Identity, build: str) -> tuple[Tuned, Path] | None:
    """Return what is kept, and its file. What cannot be used is ignored, with a line in the log.

    Args:
        identity: the model, the machine and the placement.
        build: versions of pyllama and llama.cpp; what others measured does not count.
    """
    try:
        path = file_of(identity)
        data = json.loads(path.read_bytes())
    except (FileNotFoundError, ModelNotFound):
        return None
    except (OSError, ValueError) as error:
        logger.warning("tuned settings ignored: %s: %s", path, error)
        return None
    try:
        tuned, written_by = parse(data)
    except (KeyError, TypeError, ValueError) as error:
        logger.warning("tuned settings ignored: %s is damaged: %r", path, error)
        return None
    if written_by != build:
        logger.warning(
            "tuned settings ignored: %s is of %s, this is %s; run pyllama tune again",
            *(path, written_by, build),
        )
        return None
    return tuned, path


def write(identity: Identity, build: str, tuned: Tuned, record: Mapping[str, Any]) -> Path:
    """Keep a result, whole or not at all; return its file.

    Args:
        identity: the model, the machine and the placement.
        build: versions of pyllama and llama.cpp.
        tuned: the result.
        record: what was measured, for people.

    Raises:
        OSError: the folder cannot be written.
    """
    data = {
        "format": FORMAT,
        "build": build,
        "options": tuned.options,
        "n_slots": tuned.n_slots,
        "n_ctx_slot": tuned.n_ctx_slot,
        "identity": identity,
        "record": record,
    }
    path = file_of(identity)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(data, file, indent=2)
        Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise
    return path


def parse(data: Any) -> tuple[Tuned, str]:
    """Return what a file says, and who wrote it.

    Raises:
        KeyError, TypeError, ValueError: the data are none of a tuning.
    """
    if data["format"] != FORMAT:
        raise ValueError(f"format {data['format']}, not {FORMAT}")
    options = tuple(tuple(option) for option in data["options"])
    if not all(map(_is_option, options)):
        raise ValueError("an option is no list of strings")
    tuned = Tuned(options=options, n_slots=int(data["n_slots"]), n_ctx_slot=int(data["n_ctx_slot"]))
    return tuned, str(data["build"])


def _is_option(option: tuple[Any, ...]) -> bool:
    return len(option) > 0 and all(isinstance(word, str) for word in option)
