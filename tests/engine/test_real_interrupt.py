"""Ctrl-C while a model is loaded or asked: it arrives, and soon."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pyllama import Llama

pytestmark = pytest.mark.model

LONG_S = 60.0
HI = [{"role": "user", "content": "Hi"}]
LOAD = """
import sys, time
from pyllama import Llama
print("begin", flush=True)
llm = Llama(sys.argv[1], ctx_size=1024, parallel=2, threads=1)
time.sleep(60)
"""


class Slow(logging.Handler):
    """Holds up the native code at its next log line, until it is told to go on."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.is_there = threading.Event()
        self.gate = threading.Event()

    def emit(self, _record: logging.LogRecord) -> None:
        self.is_there.set()
        self.gate.wait(LONG_S)


@pytest.fixture
def slow() -> Iterator[Slow]:
    """A load that stays in native code."""
    handler = Slow()
    logger = logging.getLogger("pyllama.native")
    level = logger.level
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    yield handler
    handler.gate.set()
    logger.removeHandler(handler)
    logger.setLevel(level)


def interrupt_when(event: threading.Event) -> threading.Thread:
    """Send this process a Ctrl-C once an event has happened."""

    def wait() -> None:
        if event.wait(LONG_S):
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_load_that_takes_long_is_left_at_once(model_path: Path, slow: Slow) -> None:
    """The native code is where it was: nobody waits for it."""
    waker = interrupt_when(slow.is_there)
    start_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Llama(str(model_path), ctx_size=512, threads=1)
    assert time.monotonic() - start_s < LONG_S / 2
    waker.join(LONG_S)


def test_a_load_that_was_left_ends_early(model_path: Path, slow: Slow) -> None:
    """Its thread ends, no engine is started, and the next load works."""
    waker = interrupt_when(slow.is_there)
    with pytest.raises(KeyboardInterrupt):
        Llama(str(model_path), ctx_size=512, threads=1)
    waker.join(LONG_S)
    slow.gate.set()
    for thread in threading.enumerate():
        if thread.name == "pyllama-load":
            thread.join(LONG_S)
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"pyllama-load", "pyllama-engine"}
    with Llama(str(model_path), ctx_size=512, threads=1) as llm:
        assert llm.chat(HI, max_tokens=1).usage.completion_tokens == 1


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4])
def test_a_load_is_left_at_any_moment(model_path: Path, delay_s: float) -> None:
    """A process that loads, or has just loaded, ends by KeyboardInterrupt."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOAD, str(model_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        time.sleep(delay_s)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert errors.splitlines()[-1] == "KeyboardInterrupt"


def test_waiting_for_an_answer_is_left(model_path: Path) -> None:
    """A chat ends with it, and its slot is free again, whoever keeps the exception."""
    with Llama(str(model_path), ctx_size=1024, parallel=1, threads=1) as llm:
        begun = threading.Event()

        def watch() -> None:
            while not llm.metrics().predicted_tokens:
                time.sleep(0.005)
            begun.set()

        watcher, waker = threading.Thread(target=watch), interrupt_when(begun)
        watcher.start()
        with pytest.raises(KeyboardInterrupt) as kept:
            llm.chat(HI, max_tokens=-1, ignore_eos=True)
        watcher.join(LONG_S)
        waker.join(LONG_S)
        assert llm.generate("Hi", max_tokens=1).usage.completion_tokens == 1
        assert kept.value is not None


@pytest.mark.parametrize("command", ["run", "batch"])
def test_commands_are_left_while_they_load(model_path: Path, tmp_path: Path, command: str) -> None:
    """130, as a shell has it, and no traceback."""
    lines = tmp_path / "in.jsonl"
    lines.write_text('{"prompt": "Once"}\n', "utf-8")
    arguments = {
        "run": ["run", str(model_path), "-p", "Once", "--max-tokens", "100000"],
        "batch": ["batch", str(lines), str(tmp_path / "out.jsonl"), "-m", str(model_path)],
    }[command]
    code = (
        "import logging, sys\n"
        "from pyllama.cli import main\n"
        "class Tell(logging.Handler):\n"
        "    def emit(self, record):\n"
        "        print('native', flush=True, file=sys.stderr)\n"
        "logger = logging.getLogger('pyllama.native')\n"
        "logger.setLevel(logging.DEBUG)\n"
        "logger.addHandler(Tell())\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stderr is not None
        while process.stderr.readline() != "native\n":
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors
