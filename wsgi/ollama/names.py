"""Names of the one model that is served: file, stem, alias or path, each with a tag or without."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pyllama.errors import InvalidRequest, PyllamaError

if TYPE_CHECKING:
    from pyllama import ModelInfo

_SUFFIX = ".gguf"
_MAX_ECHO = 128


class ModelNotServed(PyllamaError):
    """A request names another model than the one that is served."""


def check_name(name: str, info: ModelInfo) -> None:
    """Refuse a name that is not the model's.

    Raises:
        InvalidRequest: it is blank.
        ModelNotServed: there is no such model.
    """
    if not name.strip():
        raise InvalidRequest("model is required", param="model")
    known = _known(info)
    # A tag is what follows the last colon, and a name may have one without a tag.
    untagged = name.rpartition(":")[0]
    if not {_key(name), _key(untagged)} & known:
        raise ModelNotServed(f"model {name[:_MAX_ECHO]!r} not found; the one served is {info.id!r}")


def stem(name: str) -> str:
    """Return a file's name without the suffix of its format."""
    return name[: -len(_SUFFIX)] if name.lower().endswith(_SUFFIX) else name


def _known(info: ModelInfo) -> set[str]:
    file = Path(info.path).name
    return {_key(name) for name in (info.id, stem(info.id), file, stem(file), info.path)}


def _key(name: str) -> str:
    """Return what is the same for names that mean the same; never looks at the disk."""
    if "/" in name or os.sep in name:
        name = os.path.normpath(Path.cwd() / name)
    return name.lower()
