"""JSON schemas in files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pyllama.errors import ConfigError


def read_schema(path: str) -> Any:
    """Read a JSON schema from a file.

    Raises:
        ConfigError: the file cannot be read, or holds no schema.
    """
    try:
        schema = json.loads(Path(path).expanduser().read_text("utf-8"))
    except (OSError, RuntimeError, ValueError, RecursionError) as error:
        raise ConfigError(f"cannot read a JSON schema from {path}: {error}") from error
    if not isinstance(schema, (dict, bool)):
        raise ConfigError(f"{path} holds no JSON schema, which is an object")
    return schema
