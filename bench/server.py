"""Starts pyllama's server under gunicorn on the loopback and stops it again."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from bench import peers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_START_S = 120.0


@contextlib.contextmanager
def pyllama(model: Path, *flags: str) -> Iterator[int]:
    """Serve a model with these flags; yields the port. The server ends with the block."""
    port = _free_port()
    command = [sys.executable, "-m", "pyllama.cli", "serve", "-m", str(model)]
    process = subprocess.Popen(
        [*command, "--port", str(port), *flags],
        cwd=peers.ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYLLAMA_")},
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(process, port)
        yield port
    finally:
        process.terminate()
        process.wait(60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            raise SystemExit(f"the server ended with status {process.returncode}")
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        time.sleep(0.1)
    raise SystemExit(f"the server was not ready within {_START_S} s")
