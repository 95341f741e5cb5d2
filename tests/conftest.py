"""Fixtures that several rooms share."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run; `--hypothesis-profile default` makes up others each time.
settings.register_profile("same", derandomize=True, database=None)
settings.load_profile("same")


def pytest_configure() -> None:
    """Let servers under test have the signals that a terminal's programs have.

    What a shell starts in the background ignores these two, and so would all that it starts.
    """
    for name, handler in (("SIGINT", signal.default_int_handler), ("SIGQUIT", signal.SIG_DFL)):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of our own."""
    parser.addoption(
        "--api-cases",
        type=int,
        default=0,
        metavar="N",
        help="send N made-up requests, others each time, where a few that are always the same do",
    )
    parser.addoption(
        "--coding-agents",
        metavar="FOLDER",
        help="run Claude Code and Codex, whose commands are in this folder, against this server",
    )
    parser.addoption(
        "--media-files",
        type=int,
        metavar="N",
        help="send N damaged files, others each time, where 100 that are always the same do",
    )
    parser.addoption(
        "--stand-in",
        action="store_true",
        help="test the kernels as a processor without AVX-512 does, on one that has it",
    )
    parser.addoption(
        "--screenshots",
        metavar="FOLDER",
        help="keep the pictures that the tests take of the chat page",
    )


@pytest.fixture(scope="session", autouse=True)
def _untuned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let no test depend on what was tuned on this machine, nor change it."""
    from pyllama.tune import store  # sub-processes get the variable

    folder = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYLLAMA_TUNED", "0")
        patch.setattr(store, "folder", lambda: folder)
        yield


@pytest.fixture(scope="session")
def model_path() -> Path:
    """Path of the default model, fetched into the user's cache the first time."""
    from pyllama import hub  # rooms without a model need no hub

    return hub.resolve("default")


@pytest.fixture(scope="session")
def short_model_path(model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default model's first layers: for tests to which its words do not matter."""
    from tests.support import short_model  # as above

    return short_model.write(model_path, tmp_path_factory.mktemp("short") / "short.gguf", 3)
