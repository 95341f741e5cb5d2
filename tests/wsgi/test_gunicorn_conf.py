"""The values of gunicorn's configuration, and its hooks outside of a worker."""

from __future__ import annotations

import importlib
import runpy
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import wsgi
from tests.support.serving import ROOT
from wsgi import gunicorn_seam, serve

Configure = Callable[..., Any]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """What imports the configuration anew, under settings of the test's own."""

    def imported(**changes: Any) -> Any:
        values: dict[str, Any] = {
            "model": "m.gguf",
            "host": "127.0.0.1",
            "port": 8000,
            "parallel": 4,
            "max_queue": 32,
            "drain_s": 30.0,
            "max_connections": 1000,
        }
        settings: Any = types.ModuleType("pyllama.settings")
        settings.from_environment = lambda: types.SimpleNamespace(**{**values, **changes})
        serve.get_settings.cache_clear()
        monkeypatch.setitem(sys.modules, "pyllama.settings", settings)
        monkeypatch.delitem(sys.modules, "wsgi.gunicorn_conf", raising=False)
        module = importlib.import_module("wsgi.gunicorn_conf")
        # Taken out again at the end, so that no other test sees these settings.
        monkeypatch.setitem(sys.modules, "wsgi.gunicorn_conf", module)
        monkeypatch.delitem(wsgi.__dict__, "gunicorn_conf")
        return module

    yield imported
    serve.get_settings.cache_clear()


def test_every_request_that_may_run_or_wait_has_a_thread(configure: Configure) -> None:
    """The engine's queue does the queueing, and health is answered all the same."""
    conf = configure()
    assert conf.threads == 4 + 32 + 8
    assert conf.worker_connections > conf.threads
    assert (conf.worker_class, conf.workers, conf.timeout) == ("wsgi.worker.Worker", 1, 0)


@pytest.mark.parametrize(
    ("host", "bind"),
    [
        ("127.0.0.1", ["127.0.0.1:8000"]),
        ("::1", ["[::1]:8000"]),
        ("/run/pyllama.sock", ["unix:/run/pyllama.sock"]),
        ("127.0.0.1, ::1", ["127.0.0.1:8000", "[::1]:8000"]),
    ],
)
def test_host_is_spelled_as_gunicorn_does(configure: Configure, host: str, bind: list[str]) -> None:
    """Names, IPv6 addresses, Unix sockets and lists of them are bound."""
    assert configure(host=host).bind == bind


@pytest.mark.parametrize(("drain_s", "timeout_s"), [(30.0, 30), (2.5, 3), (0.0, 1)])
def test_graceful_timeout_is_whole_seconds(
    configure: Configure, drain_s: float, timeout_s: int
) -> None:
    """Fractions are not taken by gunicorn; rounding never shortens."""
    assert configure(drain_s=drain_s).graceful_timeout == timeout_s


def test_a_gunicorn_that_was_not_tried_stops_the_server_with_one_line(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The master ends before it has done anything; the line says what to install."""
    conf = configure()

    def check_version() -> None:
        gunicorn_seam.check_version((28, 1, 0))

    monkeypatch.setattr(conf, "check_version", check_version)
    with pytest.raises(SystemExit):
        conf._read_settings()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("pyllama: gunicorn 28.1.0 is installed")
    assert "install 'gunicorn>=27.0,<28'" in line


def test_folder_has_the_same_configuration(configure: Configure) -> None:
    """``gunicorn wsgi:app`` in a checkout reads a file that repeats the module."""
    conf = configure()
    read = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    assert {name: read[name] for name in conf.__all__} == {
        name: getattr(conf, name) for name in conf.__all__
    }


def test_worker_exit_in_the_master_does_nothing(configure: Configure) -> None:
    """The hook is called there too, for a worker that is gone already."""
    assert configure().worker_exit(None, None) is None


@pytest.mark.parametrize("name", ["absent", "present"])
def test_failed_start_leaves_no_pidfile(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """A server that never ran is not taken for one that runs."""
    conf = configure(model=str(tmp_path / "missing.gguf"))
    monkeypatch.setattr(conf.serve, "configure_logging", lambda: None)
    pidfile = tmp_path / "pid"
    pidfile.touch()
    arbiter = types.SimpleNamespace(pidfile=types.SimpleNamespace(unlink=pidfile.unlink))
    if name == "absent":
        arbiter.pidfile = None
    with pytest.raises(SystemExit, match="1"):
        conf.on_starting(arbiter)
    assert pidfile.exists() == (name == "absent")
