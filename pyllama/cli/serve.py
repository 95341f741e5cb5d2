"""``pyllama serve``: check the flags, then become gunicorn."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from pyllama.errors import ConfigError

# llama-server's spellings.
_HELP = frozenset({"-h", "--help", "--usage"})
_GUNICORN = ("-m", "gunicorn", "-c", "python:wsgi.gunicorn_conf", "wsgi:app")


def run(arguments: Sequence[str]) -> int:
    """Replace this process by gunicorn serving the flags; returns only after ``--help``.

    The flags travel in ``PYLLAMA_ARGS`` (a JSON list), because gunicorn's own command line is not
    theirs; the settings are read there again, so nothing is interpreted here.

    Raises:
        ConfigError: a flag is wrong, or this platform or folder cannot serve.
    """
    # Imported here so that the other commands work where the extension is not built.
    from pyllama import settings  # noqa: PLC0415

    if not _HELP.isdisjoint(arguments):
        sys.stdout.write(settings.help_text().rstrip() + "\n")
        return 0
    settings.from_arguments(arguments, os.environ)
    _check_platform()
    _check_folder(Path.cwd())
    return _become_gunicorn(arguments)


def _become_gunicorn(arguments: Sequence[str]) -> NoReturn:
    environment = {**os.environ, "PYLLAMA_ARGS": json.dumps(list(arguments))}
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *_GUNICORN], environment)  # noqa: S606 - no shell


def _check_platform() -> None:
    if sys.platform == "win32":
        raise ConfigError(
            "serving needs gunicorn, which does not run on Windows; "
            "serve from WSL or a container, or use the library: from pyllama import Llama"
        )


def _check_folder(folder: Path) -> None:
    """Refuse a folder whose own ``wsgi`` gunicorn would import instead of ours.

    gunicorn puts the current folder before everything else on the import path.
    """
    spec = importlib.util.find_spec("wsgi")
    ours = Path(spec.origin).resolve() if spec and spec.origin else None
    for name in ("wsgi.py", "wsgi/__init__.py"):
        theirs = (folder / name).resolve()
        if theirs.is_file() and theirs != ours:
            raise ConfigError(
                f"{theirs} would be served instead of pyllama's own module wsgi; "
                "start from another folder"
            )
