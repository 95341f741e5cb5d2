"""From the environment to the application: settings, host, app."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING

from .factory import create_app
from .host import Host

if TYPE_CHECKING:
    from pyllama import Llama
    from pyllama.settings import Settings

    from .factory import Application


@functools.cache
def get_settings() -> Settings:
    """Return what the environment says; read once, and shared by the processes that are forked."""
    # Here and not above, as everything that needs the compiled modules.
    from pyllama.settings import from_environment  # noqa: PLC0415

    return from_environment()


@functools.cache
def get_host() -> Host:
    """Return the host of this process, made from the environment; nothing is loaded yet."""
    return Host.loading(_load, _check)


def get_app() -> Application:
    """Return the application that serves :func:`get_host`; ``wsgi:app`` is this."""
    configure_logging()
    settings = get_settings()
    return create_app(get_host(), cors_origins=settings.cors_origins, prepare_s=settings.prepare_s)


def configure_logging() -> None:
    """Write pyllama's log lines to stderr, unless somebody gave them another place."""
    logger = logging.getLogger("pyllama")
    if any(not isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger.addHandler(handler)
    logger.propagate = False
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)


def _load() -> Llama:
    # Here and not above: the compiled modules belong to the process that loads the model.
    from pyllama import Llama, settings  # noqa: PLC0415

    # Read anew: files that they name may have changed since the server was started.
    return Llama.from_settings(settings.from_environment())


def _check() -> None:
    """Look at the model that :func:`_load` would load. Raises what is wrong with it."""
    from pyllama import Llama, settings  # noqa: PLC0415

    Llama.check(settings.from_environment())
