"""gunicorn's threaded worker with a loop that reads requests, a pump, and an end at once.

gunicorn's own loop gives each connection to a thread, which then waits for the request: as many
clients that send nothing as there are threads stop it. Here the loop reads, and a thread gets what
is whole; what is in the request is for gunicorn's parser to say all the same.

gunicorn's own handler of SIGINT and SIGQUIT shuts the thread pool down and raises SystemExit, in
the middle of whatever the main thread does. Where that is ``ThreadPoolExecutor.submit``, it waits
for a lock that its own thread holds, for ever. Here the handler only takes a note, and the loop
ends the process from a place where nothing is half done.
"""

from __future__ import annotations

import errno
import gc
import signal
import time
from typing import TYPE_CHECKING, Any, NoReturn

from .connections.front import Front
from .gunicorn_seam import ChunkedAnswer, LoopWorker
from .pump import Pump
from .sinks import SocketSink

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping
    from types import FrameType

_ROUND_S = 1.0
"""The longest that a round of the loop waits, seconds: then it looks for its master."""
_SWEEP_S = 0.25
"""The same while there are deadlines."""
_END_S = 5.0
"""How long the worker's end may take, seconds."""


class Worker(LoopWorker):
    """A threaded worker with a pump, whose signal handlers take no lock and raise nothing."""

    _is_told_to_quit = False
    _front: Front

    def load_wsgi(self) -> None:
        """Load the application; each of its requests finds the pump, and a sink where it may."""
        super().load_wsgi()
        # 50,000 objects that stay: to go through them takes the garbage collector 10 to 30 ms, in
        # which no token is sent and no step begun.
        gc.collect()
        gc.freeze()
        app, pump = self.wsgi, Pump()

        def pumped(environ: MutableMapping[str, Any], start_response: Any) -> Iterable[bytes]:
            environ["pyllama.pump"] = pump
            if (answer := ChunkedAnswer.behind(start_response)) is not None:
                environ["pyllama.sink"] = SocketSink(answer, pump)
            return app(environ, start_response)

        self.wsgi = pumped

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """Take a note of SIGINT or SIGQUIT; may be called at any time, and several times."""
        del sig, frame
        self.alive = False
        if not self._is_told_to_quit:
            self._is_told_to_quit = True
            _bound_the_end()

    def run(self) -> None:
        """Serve until told to end."""
        self.open_loop()
        self._front = Front(self)
        try:
            self._serve()
            self._end()
        finally:
            _bound_the_end()
            # The end is on its way. A handler of Python's would give way to the system's default
            # while the interpreter ends; that nobody listens stays as it is.
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)

    def accept(self, listener: Any) -> None:
        """Take what waits to be accepted."""
        self._front.accept(listener)

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Answer a request; on a thread, which a client that does not read gives back in time."""
        self._front.bound(conn)
        try:
            return bool(super().handle_request(req, conn))
        except (BlockingIOError, TimeoutError) as exc:
            raise ConnectionResetError(errno.ECONNRESET, "the client reads nothing") from exc

    def wait_for_and_dispatch_events(self, timeout: float | None) -> None:
        """Do a round of the loop; the last one where a signal said so, or the master is gone.

        Without its master nobody watches over the worker, or kills it if it does not end, and its
        successor waits for the port: running requests get no time.
        """
        super().wait_for_and_dispatch_events(
            _ROUND_S if timeout is None else min(timeout, _ROUND_S)
        )
        if self._is_told_to_quit:
            self._quit()
        if not self.is_parent_alive():
            self._quit()

    def _serve(self) -> None:
        self.set_accept_enabled(True)
        while self.alive:
            self.notify()
            self._round()
        self._front.stop()

    def _end(self) -> None:
        """Let the requests that run end, those of clients that are about to send one included."""
        deadline_s = time.monotonic() + self.cfg.graceful_timeout
        while self._front.n_open and time.monotonic() < deadline_s:
            self.notify()
            self._round()
        self._front.close()
        self.close_loop()

    def _round(self) -> None:
        self.wait_for_and_dispatch_events(_SWEEP_S if self._front.is_watching else _ROUND_S)
        self._front.look()

    def _quit(self) -> NoReturn:
        self.alive = False
        self.cfg.worker_int(self)
        self._front.close()
        self.drop_waiting()
        raise SystemExit(0)


def _bound_the_end() -> None:
    """Let the kernel end this process if it does not do so itself in time; async-signal-safe."""
    # SIGALRM has no handler: its default needs neither this thread nor the interpreter.
    signal.setitimer(signal.ITIMER_REAL, _END_S)
