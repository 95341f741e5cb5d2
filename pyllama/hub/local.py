"""Model files that are on this machine already."""

from __future__ import annotations

import re
from pathlib import Path

from pyllama.errors import ModelNotFound

_MAX_LISTED = 10
_ORG_REPO = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def find(path: Path) -> Path:
    """Return the path, absolute; symbolic links stay, since a link's name is the model's name.

    Raises:
        ModelNotFound: nothing is there, or it is not a file.
    """
    if path.is_file():
        return path.absolute()
    if path.is_dir():
        raise ModelNotFound(str(path), "this is a folder, not a file.", _name_one(path))
    if path.exists():
        raise ModelNotFound(str(path), "this is not a regular file.", "Name a .gguf file.")
    raise ModelNotFound(str(path), "there is no such file.", _remedy(path))


def _name_one(folder: Path) -> str:
    try:
        names = sorted(item.name for item in folder.glob("*.gguf"))
    except OSError:
        names = []
    if not names:
        return "It holds no .gguf file; name one."
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return f"Name one of its files: {', '.join(names[:_MAX_LISTED])}{more}."


def _remedy(path: Path) -> str:
    text = path.as_posix()
    if _ORG_REPO.fullmatch(text) and path.suffix != ".gguf" and not path.parent.is_dir():
        return f"For a repository of the Hugging Face hub, write hf:{text}."
    return (
        "Check the path, set PYLLAMA_MODEL=/path/to/model.gguf, or name 'default' or 'hf:org/repo'."
    )
