"""A text model and an encoder of pictures beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench import extras, models, random_projector
from pyllama.hub.metadata import read_metadata

TINY_QWEN = "tiny-qwen"
"""Names a Qwen2-VL of random weights, whose pictures take positions in two dimensions."""


@dataclass(frozen=True, slots=True)
class MediaModel:
    """The two files that a server needs."""

    model: Path
    projector: Path


def prepare(name: str, shape: str, folder: Path) -> MediaModel:
    """Return a model with an encoder of random weights, written into a folder.

    Args:
        name: a model as :func:`bench.models.resolve` takes it, or :data:`TINY_QWEN`.
        shape: one of :data:`bench.random_projector.SHAPES`.
        folder: where to write.

    Raises:
        SystemExit: there is no such encoder for that model.
    """
    if name == TINY_QWEN:
        if shape != "small":
            raise SystemExit(f"the encoder of {TINY_QWEN} is small")
        return _tiny_qwen(folder)
    model, projector = models.resolve(name), folder / f"mmproj-{shape}.gguf"
    random_projector.write(projector, random_projector.SHAPES[shape], _width(model))
    return MediaModel(model, projector)


def _width(model: Path) -> int:
    metadata = read_metadata(model)
    width: int = metadata[f"{metadata['general.architecture']}.embedding_length"]
    return width


def _tiny_qwen(folder: Path) -> MediaModel:
    # The tests' own, written by the package that they and this need.
    qwen, projectors = (extras.load(f"tests.support.{m}") for m in ("tiny_qwen", "projectors"))
    model = qwen.write(folder / f"{TINY_QWEN}.gguf")
    return MediaModel(model, projectors.merger(folder, qwen.N_EMBD))
