"""Model references: from what the user names to a file on this machine.

A reference is a path, ``default`` (a small chat model, fetched once), or ``hf:org/repo[:file]``
(the Hugging Face hub). Everything here runs before an engine exists and may block on the network.
"""

from __future__ import annotations

from pathlib import Path

from pyllama.hub import default_model, huggingface, local
from pyllama.hub.gguf import check_gguf
from pyllama.hub.metadata import read_metadata
from pyllama.hub.reference import DefaultModel, HubModel, parse

__all__ = ["check_gguf", "read_metadata", "resolve"]


def resolve(ref: str, *, progress: bool = True) -> Path:
    """Return the path of the model file that a reference names, fetching it when it is not here.

    Blocks on disk and network. Safe to call from several processes at once: one of them fetches,
    the others wait for it. The file's content is not looked at; see :func:`check_gguf`.

    Args:
        ref: a path, ``default``, or ``hf:org/repo[:file]``.
        progress: report a download on stderr: a bar on a terminal, else a line before and after.

    Returns:
        An absolute path. Of a model in several parts, the first part.

    Raises:
        ConfigError: the reference is none of the three kinds.
        ModelNotFound: the file does not exist, or could not be fetched.
    """
    reference = parse(ref)
    if isinstance(reference, DefaultModel):
        return default_model.fetch(progress=progress)
    if isinstance(reference, HubModel):
        return huggingface.fetch(reference, progress=progress)
    return local.find(reference)
