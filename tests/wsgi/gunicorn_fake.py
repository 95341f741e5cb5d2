"""A gunicorn configuration: the real one, over a fake model that the variable FAKE describes."""

from __future__ import annotations

import json
import os
import sys
import time
import types
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
        max_queue=4,
        drain_s=_fake.get("drain_s", 6.0),
        log_prompts=False,
        generation=GenerationParams(),
    )


def _resolve(ref: str, *, progress: bool = True) -> Path:
    if "resolve_error" in _fake:
        raise ModelNotFound(ref, _fake["resolve_error"])
    return Path(ref)


class _ServedLlama(FakeLlama):
    @classmethod
    def from_settings(cls, _settings: object) -> _ServedLlama:
        time.sleep(_fake.get("load_s", 0.0))
        if "load_error" in _fake:
            raise ModelLoadError("fake.gguf", _fake["load_error"])
        return cls(_fake.get("script", ("Hel", "lo")))


_settings_module: Any = types.ModuleType("pyllama.settings")
_settings_module.from_environment = _from_environment
sys.modules["pyllama.settings"] = _settings_module
_package: Any = pyllama
_package.settings = _settings_module
_package.Llama = _ServedLlama
_hub: Any = hub
_hub.resolve = _resolve
_hub.check_gguf = lambda _path: None

from wsgi.gunicorn_conf import *  # noqa: E402, F403 - it reads the settings that are faked above
