"""A real gunicorn in a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.other_machine import OtherMachine

ROOT = Path(__file__).resolve().parents[2]
_BOOT_S = 60.0
CONTRACT_REQUESTS = "PYLLAMA_CONTRACT_REQUESTS"
"""The variable that names a file of requests which must all work."""


class Server:
    """gunicorn with the configuration under test; its log is kept with the times of its lines.

    Args:
        *arguments: gunicorn's command line.
        environ: variables on top of this process's own.
        cwd: the folder to start in.
        port: the port to listen on; a free one where none is given.
        machine: the one that it runs on; None: this one.
    """

    def __init__(
        self,
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        port: int | None = None,
        machine: OtherMachine | None = None,
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://{machine.address if machine else '127.0.0.1'}:{self.port}"
        self.lines: list[tuple[float, str]] = []
        self.process = subprocess.Popen(
            [*(machine.prefix if machine else ()), sys.executable, "-m", "gunicorn", *arguments],
            cwd=cwd,
            env={**_ours(), **(environ or {}), "LLAMA_ARG_PORT": str(self.port)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            # A group of its own, as a terminal gives it.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        # Nothing is left of a server whose master was killed, whatever became of its worker.
        self.signal_all(signal.SIGKILL)
        self._reader.join(5)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def ready(self) -> Server:
        """Wait until the model is loaded."""
        deadline_s = time.monotonic() + _BOOT_S
        while time.monotonic() < deadline_s and self.process.poll() is None:
            try:
                if httpx.get(f"{self.url}/health", timeout=2).status_code == 200:
                    return self
            except httpx.TransportError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"the server did not get ready:\n{self.log}")

    @property
    def log(self) -> str:
        """All that was logged."""
        return "\n".join(line for _, line in self.lines)

    def logged(self, text: str, timeout_s: float = 5.0) -> float:
        """Wait for a line with this text; returns when it came."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            for time_s, line in list(self.lines):
                if text in line:
                    return time_s
            time.sleep(0.005)
        raise AssertionError(f"{text!r} was not logged:\n{self.log}")

    def terminate(self) -> None:
        """Send SIGTERM to the master."""
        self.process.send_signal(signal.SIGTERM)

    def signal_all(self, number: int) -> None:
        """Send a signal to the master and the worker at once, as Ctrl-C in a terminal does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def is_gone(self, timeout_s: float = 15.0) -> bool:
        """Wait for the end of every process of the server; whether it came.

        Whoever is left holds the pipe of the log open.
        """
        deadline_s = time.monotonic() + timeout_s
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        self._reader.join(deadline_s - time.monotonic())
        return not self._reader.is_alive()

    def exit_status(self, timeout_s: float = 15.0) -> int:
        """Wait for the end."""
        status = self.process.wait(timeout_s)
        self._reader.join(5)
        return status

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append((time.monotonic(), line.rstrip()))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ours() -> dict[str, str]:
    """Return this process's variables, without that of tests: a server refuses what it lacks."""
    return {name: value for name, value in os.environ.items() if name != CONTRACT_REQUESTS}
