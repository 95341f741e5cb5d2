"""The user's folder of fetched models, and the lock that makes one process fetch."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pyllama.errors import ModelNotFound
from pyllama.hub.report import say


def cache_folder(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Return the folder of fetched models; it need not exist.

    ``$PYLLAMA_CACHE`` wins; else the platform's convention for caches.

    Raises:
        ModelNotFound: no variable names a folder and the user has no home.
    """
    if chosen := environ.get("PYLLAMA_CACHE"):
        return Path(chosen).expanduser().absolute()
    if platform == "win32":
        base = environ.get("LOCALAPPDATA") or _home() / "AppData" / "Local"
    elif platform == "darwin":
        base = _home() / "Library" / "Caches"
    else:
        base = environ.get("XDG_CACHE_HOME") or ""
        # The XDG specification has relative paths ignored.
        base = base if Path(base).is_absolute() else _home() / ".cache"
    return Path(base) / "pyllama" / "models"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise ModelNotFound(
            "default", f"no folder to keep models in: {error}", "Set PYLLAMA_CACHE to one."
        ) from error


@contextmanager
def locked(folder: Path, *, progress: bool) -> Iterator[None]:
    """Make the folder and hold its lock; blocks while another process holds it.

    Raises:
        ModelNotFound: the folder cannot be written.
    """
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if progress:
                say(f"waiting for another process that fetches into {folder}")
            lock.acquire()
    except OSError as error:
        raise ModelNotFound(
            str(folder),
            f"models cannot be kept here: {error.strerror or error}.",
            "Set PYLLAMA_CACHE to a folder that can be written.",
        ) from error
    try:
        yield
    finally:
        lock.release()
