"""A gunicorn configuration: the real one, over a fake model that the variable FAKE describes."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
import types
from concurrent.futures import thread as futures_thread
from pathlib import Path
from typing import Any

import pyllama
from pyllama import hub
from pyllama.errors import ConfigError, ModelLoadError, ModelNotFound
from pyllama.params import GenerationParams
from tests.support.fake_llama import FakeLlama

_fake: dict[str, Any] = json.loads(os.environ["FAKE"])


def _from_environment() -> types.SimpleNamespace:
    if "config_error" in _fake:
        raise ConfigError(_fake["config_error"])
    return types.SimpleNamespace(
        model="fake.gguf",
        host="127.0.0.1",
        port=_fake["port"],
        parallel=2,
        max_queue=_fake.get("max_queue", 4),
        drain_s=_fake.get("drain_s", 6.0),
        max_connections=_fake.get("max_connections", 1000),
        max_unfinished=_fake.get("max_unfinished", 0),
        read_timeout_s=_fake.get("read_timeout_s", 20.0),
        cors_origins=("localhost",),
        prepare_s=60.0,
        log_prompts=False,
        generation=GenerationParams(),
    )


def _resolve(ref: str, *, progress: bool = True) -> Path:
    time.sleep(_fake.get("resolve_s", 0.0))
    if "resolve_error" in _fake:
        raise ModelNotFound(ref, _fake["resolve_error"])
    return Path(ref)


class _ServedLlama(FakeLlama):
    n_loads = 0

    @staticmethod
    def check(_settings: object) -> None:
        """Find nothing wrong with the model, as where only its load shows it."""

    @classmethod
    def from_settings(cls, _settings: object) -> _ServedLlama:
        time.sleep(_fake.get("load_s", 0.0))
        cls.n_loads += 1
        if "load_error" in _fake and cls.n_loads > _fake.get("n_good_loads", 0):
            raise ModelLoadError("fake.gguf", _fake["load_error"])
        # A long answer would not fit into a variable.
        long = [step for _ in range(_fake.get("n_words", 0)) for step in (0.002, 20_000 * "x")]
        return cls(long or _fake.get("script", ("Hel", "lo")))


_settings_module: Any = types.ModuleType("pyllama.settings")
_settings_module.from_environment = _from_environment
sys.modules["pyllama.settings"] = _settings_module
_package: Any = pyllama
_package.settings = _settings_module
_package.Llama = _ServedLlama
_hub: Any = hub
_hub.resolve = _resolve
_hub.check_gguf = lambda _path: None

from wsgi import gunicorn_conf  # noqa: E402 - it reads the settings that are faked above
from wsgi.connections.limits import Limits  # noqa: E402 - same
from wsgi.gunicorn_conf import *  # noqa: E402, F403 - same

if "n_files" in _fake:
    resource.setrlimit(resource.RLIMIT_NOFILE, (_fake["n_files"], _fake["n_files"]))
if "host" in _fake:
    bind = [_fake["host"]]
for _name in ("certfile", "keyfile", "protocol", "proxy_protocol"):
    if _name in _fake:
        globals()[_name] = _fake[_name]
_limits: Any = Limits
for _name in _fake.keys() & {"send_s", "stall_s"}:
    _limits.__init__.__kwdefaults__[_name] = _fake[_name]

if "submit_signal" in _fake:
    _WorkItem: Any = futures_thread._WorkItem
    _file = Path(_fake["submit_signal"])

    def _interrupted(*args: Any, **kwargs: Any) -> Any:
        """Send the signal once, where the pool holds its lock."""
        if _file.exists():
            _file.unlink()
            os.killpg(0, signal.SIGINT)
            time.sleep(0.1)
        return _WorkItem(*args, **kwargs)

    _pool: Any = futures_thread
    _pool._WorkItem = _interrupted

if "early_signal" in _fake:
    _keep_signals: Any = gunicorn_conf.post_fork

    def _interrupted_fork(server: Any, worker: Any) -> None:
        """Let signals arrive before the worker has handlers for them."""
        _keep_signals(server, worker)
        os.killpg(0, _fake["early_signal"])
        time.sleep(0.5)

    globals()["post_fork"] = _interrupted_fork
