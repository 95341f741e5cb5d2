"""The configuration of gunicorn: ``gunicorn -c python:wsgi.gunicorn_conf wsgi:app``.

One worker process owns the model, with a thread for each request that may run or wait. The master
fetches and checks the model file, so that a wrong one stops the server with one line; the worker
loads it, because threads and device handles do not survive a fork.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from gunicorn.arbiter import Arbiter

from pyllama import hub
from pyllama.errors import PyllamaError
from pyllama.settings import from_environment

from . import serve
from .drain import Drainer, drain_deadline_s

if TYPE_CHECKING:
    from types import FrameType

    from gunicorn.workers.gthread import ThreadWorker

    from pyllama.settings import Settings

    from .host import Host

__all__ = [
    "bind",
    "control_socket_disable",
    "graceful_timeout",
    "keepalive",
    "on_starting",
    "post_worker_init",
    "threads",
    "timeout",
    "worker_class",
    "worker_connections",
    "worker_exit",
    "workers",
]

_log = logging.getLogger("pyllama.wsgi")

_SPARE_THREADS = 8  # for health, models and refusals, while every place in the queue is taken
_JOIN_S = 1.0

_served: tuple[Host, Drainer] | None = None  # in a worker only, never in the master


def _stop(exc: PyllamaError) -> NoReturn:
    """End the process with one line; a traceback would only hide it."""
    sys.stderr.write(f"pyllama: {exc}\n")
    raise SystemExit(1)


def _read_settings() -> Settings:
    try:
        return from_environment()
    except PyllamaError as exc:
        _stop(exc)


def _address(host: str, port: int) -> str:
    """Return an address as gunicorn spells it; a host that ends in ``.sock`` is a Unix socket."""
    if host.endswith(".sock"):
        return f"unix:{host}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_settings = _read_settings()

bind = [_address(host.strip(), _settings.port) for host in _settings.host.split(",")]
worker_class = "gthread"
workers = 1
threads = _settings.parallel + _settings.max_queue + _SPARE_THREADS
# gthread keeps idle connections open only as far as these exceed the threads.
worker_connections = max(1000, 2 * threads)
timeout = 0  # a worker thread that waits for tokens is not a worker that hangs
graceful_timeout = max(1, math.ceil(_settings.drain_s))
keepalive = 30
# gunicornc's socket has one path for all servers of a user, and nothing here needs it.
control_socket_disable = True


def on_starting(server: Arbiter) -> None:
    """In the master, before the fork: fetch the model file and look at it."""
    serve.configure_logging()
    try:
        hub.check_gguf(hub.resolve(_settings.model, progress=True))
    except PyllamaError as exc:
        if server.pidfile is not None:
            server.pidfile.unlink()
        _stop(exc)


def post_worker_init(worker: ThreadWorker) -> None:
    """In the worker, after the fork: begin to load, and be ready to drain."""
    global _served  # noqa: PLW0603 - gunicorn's hooks are functions of a module
    host = serve.get_host()
    drainer = Drainer(host, drain_deadline_s(worker.cfg.graceful_timeout))
    _served = (host, drainer)
    stop_accepting: Any = signal.getsignal(signal.SIGTERM)

    def on_sigterm(number: int, frame: FrameType | None) -> None:
        drainer.begin()
        stop_accepting(number, frame)

    signal.signal(signal.SIGTERM, on_sigterm)
    signal.siginterrupt(signal.SIGTERM, False)  # noqa: FBT003 - positional only
    # The worker leaves its loop as on SIGTERM, and worker_exit makes the master stop too.
    host.start(on_failure=lambda _: worker.handle_exit(signal.SIGTERM, None))


def worker_exit(_server: Arbiter, _worker: ThreadWorker) -> None:
    """In the worker, at its end: free the model, and tell the master if it was never loaded.

    gunicorn calls this in the master as well, for a worker that it could not find.
    """
    if _served is None:
        return
    host, drainer = _served
    host.close()
    drainer.join(_JOIN_S)
    if host.failure is not None:
        # The master would start another worker for ever, but for this one status.
        raise SystemExit(Arbiter.WORKER_BOOT_ERROR)
    if host.is_loading:
        _log.info("stopped while loading the model")
        logging.shutdown()
        # A native load cannot be interrupted, and the interpreter must not end under it.
        os._exit(0)
