"""Starts one of the two servers on the loopback and stops it again."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench import peers
from bench.processes import ProcessTree

_START_S = 120.0
_STOP_S = 30.0
# Both read their options from the environment too; only what the command says may count.
_OTHER_OPTIONS = ("PYLLAMA_", "LLAMA_ARG_", "GUNICORN_CMD_ARGS")


@dataclass(frozen=True, slots=True)
class Side:
    """One of the servers that are compared."""

    name: str
    program: tuple[str, ...]
    """The command, without model, address and flags."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is ready."""

    port: int
    processes: ProcessTree


PYLLAMA = Side("pyllama", (sys.executable, "-m", "pyllama.cli", "serve"))


def llama_server() -> Side:
    """Return llama.cpp's server, built first where it is not."""
    return Side("llama-server", (str(peers.build("llama-server")),))


@contextlib.contextmanager
def serve(
    side: Side, model: Path, flags: Sequence[str] = (), *, is_tuned: bool = False
) -> Iterator[Running]:
    """Serve a model with these flags. The server and its children end with the block.

    Args:
        side: the server.
        model: the model file.
        flags: of both servers, or of this one.
        is_tuned: let pyllama use what `pyllama tune` found; else a result would depend on whether
            somebody tuned this machine.
    """
    port = _free_port()
    command = [*side.program, "-m", str(model), "--host", "127.0.0.1", "--port", str(port), *flags]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            cwd=peers.ROOT,
            env=environment(is_tuned=is_tuned),
            stdout=log,
            stderr=log,
            # A group of its own, so that what does not end in time can be ended with its children.
            start_new_session=True,
        )
        try:
            _wait(side, process, port, log)
            yield Running(port, ProcessTree(process.pid))
        finally:
            _stop(process)


def environment(*, is_tuned: bool) -> dict[str, str]:
    """Return the environment of a server: without options, but for the use of tuned settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(_OTHER_OPTIONS)}
    if is_tuned and "PYLLAMA_CACHE" in os.environ:
        # They lie there.
        kept["PYLLAMA_CACHE"] = os.environ["PYLLAMA_CACHE"]
    return {**kept, "PYLLAMA_TUNED": "1" if is_tuned else "0"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(side: Side, process: subprocess.Popen[bytes], port: int, log: IO[bytes]) -> None:
    deadline_s = time.monotonic() + _START_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            log.seek(0)
            tail = log.read()[-2000:].decode("utf-8", "replace")
            raise SystemExit(f"{side.name} ended with status {process.returncode}:\n{tail}")
        with contextlib.suppress(OSError, http.client.HTTPException):
            if _is_ready(port):
                return
        time.sleep(0.1)
    raise SystemExit(f"{side.name} was not ready within {_START_S:.0f} s")


def _is_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
    finally:
        # Also where the wait itself is interrupted: a server left behind falsifies the next run.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
