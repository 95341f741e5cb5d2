"""Claude Code and Codex, installed from npm, against an application on this machine."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

TASK = "Write a file hello.txt that holds the word hello."
_TIMEOUT_S = 900.0

_CODEX_CONFIG = """\
model = "local"
model_provider = "pyllama"
check_for_update_on_startup = false
{extra}
[analytics]
enabled = false
[model_providers.pyllama]
name = "pyllama"
base_url = "{url}/v1"
wire_api = "responses"
stream_idle_timeout_ms = 900000
"""


@dataclass(slots=True)
class Requests:
    """An application, and what it was asked so far: method, path and status."""

    app: Callable[..., Iterable[bytes]]
    seen: list[tuple[str, str, int]] = field(default_factory=list)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer as the application does."""

        def noted(status: str, headers: Any, exc_info: Any = None) -> Any:
            place = (environ["REQUEST_METHOD"], environ["PATH_INFO"], int(status[:3]))
            self.seen.append(place)
            return start_response(status, headers, exc_info)

        return self.app(environ, noted)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_args: Any) -> None:
        """Write nothing."""


@contextlib.contextmanager
def served(app: Callable[..., Iterable[bytes]]) -> Iterator[str]:
    """Serve an application on a free port of this machine; yields its address."""
    with make_server("127.0.0.1", 0, app, server_class=_Server, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(5)


def run_claude(programs: Path, folder: Path, url: str, *options: str) -> str:
    """Let Claude Code do the task in a folder; returns what it printed."""
    work, home = _folders(folder)
    environ = {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_AUTH_TOKEN": "none",
        "ANTHROPIC_MODEL": "local",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": "local",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_OUTPUT_TOKENS": "48",
        "API_TIMEOUT_MS": str(int(1000 * _TIMEOUT_S)),
        "CLAUDE_STREAM_IDLE_TIMEOUT_MS": str(int(1000 * _TIMEOUT_S)),
    }
    command = [programs / "claude", "-p", TASK, "--permission-mode", "acceptEdits", *options]
    return _run(command, work, home, environ)


def run_codex(programs: Path, folder: Path, url: str, *, extra: str = "") -> str:
    """Let Codex do the task in a folder; returns what it printed."""
    work, home = _folders(folder)
    settings = home / "codex"
    settings.mkdir()
    config = _CODEX_CONFIG.format(url=url, extra=extra)
    (settings / "config.toml").write_text(config, encoding="utf-8")
    command = [
        *(programs / "codex", "exec", "--skip-git-repo-check"),
        *("--dangerously-bypass-approvals-and-sandbox", TASK),
    ]
    return _run(command, work, home, {"CODEX_HOME": str(settings)})


def _folders(folder: Path) -> tuple[Path, Path]:
    work, home = folder / "work", folder / "home"
    work.mkdir()
    home.mkdir()
    return work, home


def _run(command: list[Any], work: Path, home: Path, environ: dict[str, str]) -> str:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=work,
        env={**kept, "HOME": str(home), **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    return f"{done.stdout}\nexit status {done.returncode}"
