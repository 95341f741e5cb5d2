"""The holder of the server's one model: loading, ready, failed or draining."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Literal

from pyllama.errors import Draining, EngineError, NotReady, PyllamaError, Unsupported

from .file_names import without_folders

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyllama import Llama

State = Literal["loading", "ready", "failed", "draining"]

_log = logging.getLogger("pyllama.wsgi")

RETRY_AFTER_S = 5.0
"""Seconds after which who met a model that loads may ask again."""


class LoadFailed(EngineError):
    """The model could not be loaded; the message says why."""


class Host:
    """Holds the one :class:`pyllama.Llama` of this process; every method may be called anywhere.

    Args:
        llm: a model that is ready; :meth:`loading` makes a host for one that is not.
    """

    def __init__(self, llm: Llama | None = None) -> None:
        self._lock = threading.Lock()
        self._llm = llm
        self._latest = llm
        self._factory: Callable[[], Llama] | None = None
        self._check: Callable[[], None] = lambda: None
        self._loader: threading.Thread | None = None
        self._failure: Exception | None = None
        self._is_draining = False
        self._is_closed = False

    @classmethod
    def loading(
        cls, factory: Callable[[], Llama], check: Callable[[], None] = lambda: None
    ) -> Host:
        """Return a host that loads its model in a thread of its own.

        The thread starts with :meth:`start`, or with the first request: a thread that was started
        before a server forks its workers would not exist in them.

        Args:
            factory: loads the model.
            check: raises what is wrong with the model before another one is given up for it.
        """
        host = cls()
        host._factory, host._check = factory, check
        return host

    @property
    def state(self) -> State:
        """What the server can do now."""
        if self._is_draining:
            return "draining"
        if self._failure is not None:
            return "failed"
        return "loading" if self._llm is None else "ready"

    @property
    def failure(self) -> Exception | None:
        """Why the model could not be loaded, if it could not."""
        return self._failure

    @property
    def is_loading(self) -> bool:
        """Whether the loading thread runs, also when the host was closed meanwhile."""
        return self._loader is not None and self._loader.is_alive()

    def start(self, on_failure: Callable[[Exception], None] | None = None) -> None:
        """Begin to load, unless that was begun before.

        Args:
            on_failure: called once in the loading thread if the model cannot be loaded.
        """
        with self._lock:
            if self._factory is None or self._loader is not None or self._is_closed:
                return
            self._loader = threading.Thread(
                target=self._load,
                args=(self._factory, on_failure),
                name="pyllama-load",
                daemon=True,
            )
            self._loader.start()

    def get(self) -> Llama:
        """Return the model.

        Raises:
            Draining: the server is shutting down.
            LoadFailed: the model could not be loaded.
            NotReady: it is still loading.
        """
        if self._is_draining:
            raise Draining("the server is shutting down", retry_after_s=RETRY_AFTER_S)
        if self._failure is not None:
            raise LoadFailed(f"the model could not be loaded: {_reason(self._failure)}")
        if self._llm is None:
            self.start()
            raise NotReady("Loading model", retry_after_s=RETRY_AFTER_S)
        return self._llm

    @property
    def current(self) -> Llama | None:
        """The model if it is there now, also while the server shuts down."""
        return self._llm

    @property
    def latest(self) -> Llama | None:
        """The model, or the one that was there before: closed, but for what it says of itself."""
        return self._latest

    def reload(self, timeout_s: float) -> Llama:
        """Load the model anew, after the requests that run have ended; blocks until that is done.

        New requests are refused meanwhile, as while it is loaded for the first time. A model that
        is found to be broken before that leaves the former one in its place. If it cannot be loaded
        after that, it is tried once more before this returns: what was wrong may be over by then.

        Args:
            timeout_s: seconds after which requests that still run end with Cancelled.

        Returns:
            The new model.

        Raises:
            Unsupported: this host was given its model, and cannot load one.
            NotReady: it is loading already.
            Draining: the server is shutting down.
            LoadFailed: the model is broken, or could not be loaded the first time.
        """
        failures: list[Exception] = []
        with self._lock:
            self._check_reload()
        self._try()
        with self._lock:
            # Another one may have begun meanwhile.
            factory = self._check_reload()
            former, self._llm, self._failure = self._llm, None, None
            loader = self._loader = threading.Thread(
                target=self._replace,
                args=(former, timeout_s, factory, failures.append),
                name="pyllama-load",
                daemon=True,
            )
            loader.start()
            # Held by the thread alone, which frees it before the next one takes its memory.
            del former
        loader.join()
        if failures:
            raise LoadFailed(f"the model could not be loaded: {_reason(failures[0])}")
        return self.get()

    def drain(self, timeout_s: float) -> None:
        """Refuse new requests, let the running ones end, abort those left after the timeout.

        Blocks until that is done.
        """
        self._is_draining = True
        if self._llm is not None:
            self._llm.drain(timeout_s)

    def close(self) -> None:
        """Abort what runs and free the model; idempotent."""
        self._is_draining = True
        with self._lock:
            self._is_closed = True
            llm, self._llm = self._llm, None
        if llm is not None:
            llm.close()

    def _check_reload(self) -> Callable[[], Llama]:
        """Return what loads the model, or raise why it is not loaded again now."""
        if self._is_draining:
            raise Draining("the server is shutting down", retry_after_s=RETRY_AFTER_S)
        if self._factory is None:
            raise Unsupported("this server cannot load its model again; restart it")
        if self._llm is None and self._failure is None:
            raise NotReady("Loading model", retry_after_s=RETRY_AFTER_S)
        return self._factory

    def _try(self) -> None:
        try:
            self._check()
        except Exception as exc:  # noqa: BLE001 - whatever the cause, the former one goes on
            _log.warning("the model stays as it is: %s", exc, exc_info=_trace(exc))
            raise LoadFailed(
                f"the model could not be loaded, and stays as it was: {_reason(exc)}"
            ) from None

    def _replace(
        self,
        former: Llama | None,
        timeout_s: float,
        factory: Callable[[], Llama],
        on_failure: Callable[[Exception], None],
    ) -> None:
        if former is not None:
            _end(former, timeout_s)
        self._load(factory, on_failure)
        if self._failure is not None and not self._is_closed:
            self._failure = None
            self._load(factory, on_failure)

    def _load(
        self, factory: Callable[[], Llama], on_failure: Callable[[Exception], None] | None
    ) -> None:
        try:
            llm = factory()
        except Exception as exc:  # noqa: BLE001 - whatever the cause, health must tell it
            _log.error("model not loaded: %s", exc, exc_info=_trace(exc))
            # The frames that it came through hold what was loaded so far.
            exc.__traceback__ = None
            self._failure = exc
            if on_failure is not None:
                on_failure(exc)
            return
        with self._lock:
            if not self._is_closed:
                self._llm = self._latest = llm
                return
        llm.close()


def _end(llm: Llama, timeout_s: float) -> None:
    """Drain and close a model; one that fails in that does not keep its successor away."""
    try:
        try:
            llm.drain(timeout_s)
        finally:
            llm.close()
    except Exception:  # noqa: BLE001 - logged; whether the next one loads is what counts
        _log.exception("the former model did not end as it should")


def _reason(failure: Exception) -> str:
    known = isinstance(failure, PyllamaError)
    return without_folders(failure) if known else "an unexpected error, see the server's log"


def _trace(exc: Exception) -> Exception | None:
    """Return what the log shows the traceback of: an exception that nobody foresaw."""
    return None if isinstance(exc, PyllamaError) else exc
