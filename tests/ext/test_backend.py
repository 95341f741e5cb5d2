"""Devices and the log: what llama.cpp says reaches logging, and nothing else."""

from __future__ import annotations

import logging
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pyllama._ext import backend
from tests.ext.native import load


def test_the_cpu_is_a_device() -> None:
    """There is at least a CPU, with memory, and names are text."""
    devices = backend.devices()
    (cpu,) = (device for device in devices if device["kind"] == "cpu")
    assert cpu["name"] == "CPU"
    assert cpu["description"]
    assert cpu["total_bytes"] >= cpu["free_bytes"] >= 0
    assert cpu["total_bytes"] > 0


def test_the_build_is_described() -> None:
    """Version, CPU features and abilities are those of the library in use."""
    assert re.match(r"\S", backend.llama_cpp_version())
    assert "CPU" in backend.system_info()
    features = backend.features()
    assert features["max_sequences"] == 256
    assert isinstance(features["mmap"], bool)
    backend.initialise()


LOAD = """
import logging, os, sys
records = []
class Keep(logging.Handler):
    def emit(self, record):
        records.append((record.name, record.levelno, record.getMessage()))
logging.getLogger().addHandler(Keep())
logging.getLogger().setLevel(logging.DEBUG)
from pyllama._ext.options import Options
from pyllama._ext.model import Model
from pyllama._ext.context import Context
from pyllama.errors import NativeError
options = Options()
options.set("--parallel", "2")
model = Model(sys.argv[1], options)
context = Context(model, 512)
context.close()
try:
    Model("/no/such/model.gguf", Options())
except NativeError:
    pass
native = [record for record in records if record[0] == "pyllama.native"]
assert len(native) > 50, len(native)
assert any("llama_model_loader" in text for _, _, text in native)
assert any(level == logging.ERROR and "/no/such/model.gguf" in text for _, level, text in native)
assert not any(text != text.strip() or not text for _, _, text in native)
"""


@pytest.fixture(scope="module")
def loaded(model_path: Path) -> subprocess.CompletedProcess[str]:
    """A process that loads a model and fails to load another, with a log handler."""
    return subprocess.run(
        [sys.executable, "-c", LOAD, str(model_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_native_lines_reach_logging(loaded: subprocess.CompletedProcess[str]) -> None:
    """A load logs to pyllama.native: details as DEBUG, a failure as ERROR."""
    assert loaded.returncode == 0, loaded.stderr


def test_nothing_is_written_to_the_terminal(loaded: subprocess.CompletedProcess[str]) -> None:
    """Neither stdout nor stderr sees a byte of it."""
    assert loaded.stdout == ""
    assert loaded.stderr == ""


class Interrupting(logging.Handler):
    """Sends this process a signal in the middle of a log line of llama.cpp."""

    n_sent = 0

    def emit(self, _record: logging.LogRecord) -> None:
        if not self.n_sent:
            self.n_sent += 1
            signal.raise_signal(signal.SIGUSR1)


class Alarm(Exception):
    """What the signal's handler raises."""


def ring(_number: int, _frame: object) -> None:
    raise Alarm


def load_and_go_on(model_path: Path) -> None:
    load(model_path)
    # One of the next instructions raises.
    for _ in range(1000):
        pass


def test_a_signal_in_a_log_line_is_not_lost(model_path: Path) -> None:
    """What its handler raises cannot pass through native code; it is raised right after it."""
    logger, handler = logging.getLogger("pyllama.native"), Interrupting(logging.DEBUG)
    level, before = logger.level, signal.signal(signal.SIGUSR1, ring)
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    try:
        with pytest.raises(Alarm):
            load_and_go_on(model_path)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        signal.signal(signal.SIGUSR1, before)
    assert handler.n_sent == 1
