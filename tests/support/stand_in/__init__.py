"""The kernels where AVX-512 is missing: compiled with AVX2 in its intrinsics' place.

A process has one list of memory for weights, which ggml asks for once, when the first model is
loaded. So the stand-in is put there when the tests have been collected, and switched on for those
of the kernels alone: all others compute as people's programs do on this processor.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyllama._ext import backend
from tests.support.stand_in import library

PROCESSORS = "CPU_PYLLAMA"
STAND_IN = "CPU_PYLLAMA_STAND_IN"


class StandIn:
    """The library in this process; off until it is switched on."""

    def __init__(self, folder: Path) -> None:
        # First the process's own: the stand-in goes before them.
        backend.use_kernels()
        self._library = ctypes.CDLL(str(library.built(folder)))
        self._library.stand_in_install.restype = ctypes.c_bool
        self._library.stand_in_n_taken.restype = ctypes.c_long
        if not self._library.stand_in_install():
            raise library.BuildError("ggml does not show what the kernels need")

    @property
    def n_taken(self) -> int:
        """How often ggml asked for an operation that the stand-in has."""
        n: int = self._library.stand_in_n_taken()
        return n

    @contextmanager
    def on(self) -> Iterator[str]:
        """Compute with the stand-in; a model that is loaded now computes as long as it is on."""
        self._library.stand_in_switch(1)
        try:
            yield STAND_IN
        finally:
            self._library.stand_in_switch(0)


_found = pytest.StashKey[StandIn]()
_failure = pytest.StashKey[str]()


def processor_flags() -> set[str]:
    """Return what the processor can do, in the kernel's words."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def missing() -> str:
    """Say what this machine lacks for the stand-in; nothing where it has all."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "the kernels are for Linux on x86-64"
    if not {"avx2", "fma", "f16c"} <= processor_flags():
        return "the stand-in for AVX-512 needs AVX2"
    return library.missing()


def prepare(session: pytest.Session) -> None:
    """Install the stand-in if a test that was collected will ask for it."""
    config = session.config
    asked = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    is_asked = "stand_in" in asked or ("kernels" in asked and not _uses_processors(config))
    if is_asked and not missing() and _found not in config.stash:
        assert config.cache is not None
        try:
            config.stash[_found] = StandIn(config.cache.mkdir("stand-in"))
        except library.BuildError as error:
            config.stash[_failure] = str(error)


def installed(config: pytest.Config) -> StandIn:
    """Return what prepare() installed, or end the test."""
    if reason := missing():
        pytest.skip(reason)
    if reason := config.stash.get(_failure, ""):
        pytest.fail(reason)
    return config.stash[_found]


@contextmanager
def chosen(config: pytest.Config) -> Iterator[str]:
    """Compute with the processor's kernels or with the stand-in; ggml's name of their memory."""
    if _uses_processors(config):
        yield PROCESSORS
    else:
        with installed(config).on() as name:
            yield name


def _uses_processors(config: pytest.Config) -> bool:
    return backend.use_kernels() != "" and not config.getoption("--stand-in")
