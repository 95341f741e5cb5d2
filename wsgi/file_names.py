"""What a client is told of files: their names. Where they lie is nobody's business."""

from __future__ import annotations

import re
from pathlib import PurePath

from pyllama.errors import ModelLoadError

# A path from the root or the home folder on; neither a part of a URL nor of a repository's name.
_FOLDERS = re.compile(r"(?<![\w:/.~-])~?/(?:[^/\s'\"`,;]+/)*(?=[^/\s'\"`,;])")
_REPOSITORY = "hf:"


def without_folders(exc: Exception) -> str:
    """Return what an exception says, each file in it by its name."""
    text = str(exc)
    if isinstance(exc, ModelLoadError) and not exc.path.startswith(_REPOSITORY):
        # Known exactly, so that spaces in it do no harm; a model's other parts lie beside it.
        path = PurePath(exc.path)
        text = text.replace(exc.path, path.name)
        if len(path.parts) > 1:
            text = text.replace(f"{path.parent}/", "")
    return _FOLDERS.sub("", text)
