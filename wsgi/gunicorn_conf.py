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
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

from pyllama import hub
from pyllama.errors import PyllamaError

from . import serve
from .drain import Drainer, drain_deadline_s
from .gunicorn_seam import Arbiter, check_version, early_signals

if TYPE_CHECKING:
    import queue
    from types import FrameType

    from pyllama.settings import Settings

    from .host import Host
    from .worker import Worker

__all__ = [
    "bind",
    "control_socket_disable",
    "graceful_timeout",
    "keepalive",
    "on_starting",
    "post_fork",
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
_INTERRUPTED = 130  # what a shell makes of SIGINT

_served: tuple[Host, Drainer] | None = None  # in a worker only, never in the master
_early_signals: queue.SimpleQueue[int] | None = None  # same


def _stop(exc: PyllamaError) -> NoReturn:
    """End the process with one line; a traceback would only hide it."""
    sys.stderr.write(f"pyllama: {exc}\n")
    raise SystemExit(1)


def _read_settings() -> Settings:
    try:
        check_version()
        return serve.get_settings()
    except PyllamaError as exc:
        _stop(exc)


def _address(host: str, port: int) -> str:
    """Return an address as gunicorn spells it; a host that ends in ``.sock`` is a Unix socket."""
    if host.endswith(".sock"):
        return f"unix:{host}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


_settings = _read_settings()

bind = [_address(host.strip(), _settings.port) for host in _settings.host.split(",")]
worker_class = "wsgi.worker.Worker"  # gthread, but for the way it reads and the way it ends
workers = 1
threads = _settings.parallel + _settings.max_queue + _SPARE_THREADS
# As far as the process may open files; requests that run or wait have theirs in any case.
worker_connections = max(_settings.max_connections, 2 * threads)
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
    except (PyllamaError, KeyboardInterrupt) as exc:
        if server.pidfile is not None:
            server.pidfile.unlink()
        if isinstance(exc, PyllamaError):
            _stop(exc)
        raise SystemExit(_INTERRUPTED) from None


def post_fork(server: Arbiter, _worker: Worker) -> None:
    """In the worker, first of all: keep hold of the signals that arrive before it has handlers.

    Until then it has the master's, which put them into its copy of the master's queue.
    """
    global _early_signals  # noqa: PLW0603 - gunicorn's hooks are functions of a module
    _early_signals = early_signals(server)


def post_worker_init(worker: Worker) -> None:
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
    _repeat_early_signals()
    # The worker leaves its loop as on SIGTERM, and worker_exit makes the master stop too.
    host.start(on_failure=lambda _: worker.handle_exit(signal.SIGTERM, None))


def _repeat_early_signals() -> None:
    while _early_signals is not None and not _early_signals.empty():
        number = _early_signals.get_nowait()
        if number in {signal.SIGINT, signal.SIGQUIT, signal.SIGTERM}:
            signal.raise_signal(number)


def worker_exit(_server: Arbiter, _worker: Worker) -> None:
    """In the worker, at its end: free the model, and tell the master if it was never loaded.

    gunicorn calls this in the master as well, for a worker that it could not find.
    """
    if _served is None:
        return
    host, drainer = _served
    host.close()
    drainer.join(_JOIN_S)
    # The master would start another worker for ever, but for this one status.
    never_loaded = host.failure is not None and host.latest is None
    status = Arbiter.WORKER_BOOT_ERROR if never_loaded else 0
    if host.is_loading and not never_loaded:
        _log.info("stopped while loading the model")
    if host.is_loading or not _threads_ended(_JOIN_S):
        logging.shutdown()
        # A native load cannot be interrupted, and the interpreter must not end under it; nor does
        # it end before its last thread, which may wait for a client that neither reads nor leaves.
        os._exit(status)
    if status:
        raise SystemExit(status)


def _threads_ended(timeout_s: float) -> bool:
    """Wait for the threads that the interpreter would wait for; whether they have ended."""
    deadline_s = time.monotonic() + timeout_s
    others = [
        thread
        for thread in threading.enumerate()
        if not thread.daemon and thread is not threading.current_thread()
    ]
    for thread in others:
        thread.join(max(deadline_s - time.monotonic(), 0.0))
    return not any(thread.is_alive() for thread in others)
