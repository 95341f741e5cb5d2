"""A real gunicorn whose model sees or hears, by a projector of random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support import projectors
from tests.support.serving import Server

if TYPE_CHECKING:
    from pathlib import Path


def media_server(model: Path, folder: Path, kind: str = "mlp", **environ: str) -> Server:
    """Start a server of a model beside a projector.

    Args:
        model: the model's file.
        folder: where to write the projector.
        kind: of projector, as :func:`tests.support.projectors.make` names them.
        **environ: further variables of the server's.
    """
    own = {
        "LLAMA_ARG_MODEL": str(model),
        "LLAMA_ARG_MMPROJ": str(projectors.make(folder, kind)),
        "LLAMA_ARG_THREADS": "1",
    }
    return Server("-c", "python:wsgi.gunicorn_conf", "wsgi:app", environ={**own, **environ})
