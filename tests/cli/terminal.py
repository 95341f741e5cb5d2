"""A command on a terminal of its own, driven by a test."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

_STEP_S = 0.1
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")


class TerminalSession:
    """A child process that believes it is alone with a person.

    Args:
        arguments: what follows ``pyllama`` on its command line.
        term: the kind of terminal.
    """

    def __init__(self, arguments: list[str], term: str) -> None:
        # prompt_toolkit asks the terminal for the cursor's place, which nobody here answers.
        environ = {**os.environ, "TERM": term, "PROMPT_TOOLKIT_NO_CPR": "1", "PYLLAMA_TUNED": "0"}
        environ.pop("NO_COLOR", None)
        argv = [sys.executable, "-m", "pyllama.cli", *arguments]
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            os.execve(sys.executable, argv, environ)  # noqa: S606
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self._unread = b""
        self._status: int | None = None

    def type(self, keys: str) -> None:
        """Press keys; Enter is a carriage return."""
        os.write(self._fd, keys.encode())

    def until(self, text: str, timeout_s: float = 60.0) -> str:
        """Read the screen up to and with a text; return it without escape sequences."""
        wanted, deadline_s = text.encode(), time.monotonic() + timeout_s
        while wanted not in self._unread:
            assert time.monotonic() < deadline_s, self._unread
            if select.select([self._fd], [], [], _STEP_S)[0]:
                self._unread += os.read(self._fd, 65536)
        shown, _, self._unread = self._unread.partition(wanted)
        return _ESCAPES.sub("", (shown + wanted).decode("utf-8", "replace"))

    def end(self, timeout_s: float = 60.0) -> int:
        """Wait for the end of the command; return its exit status."""
        deadline_s = time.monotonic() + timeout_s
        while self._status is None:
            assert time.monotonic() < deadline_s
            self._drain()
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def close(self) -> None:
        """End the command, if it has not ended."""
        if self._status is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._fd)

    def _drain(self) -> None:
        if select.select([self._fd], [], [], _STEP_S)[0]:
            try:
                self._unread += os.read(self._fd, 65536)
            except OSError:
                # Linux's way to say that the other side is closed.
                time.sleep(_STEP_S)
