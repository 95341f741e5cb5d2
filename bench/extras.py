"""Packages that only some measurements need, imported when they are used."""

from __future__ import annotations

import importlib
from typing import Any


def load(name: str) -> Any:
    """Import a module of the ``bench`` extra.

    Raises:
        SystemExit: it is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SystemExit(f"{error.name} is missing: pip install 'pyllama[bench]'") from error
