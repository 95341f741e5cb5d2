"""The default model, loaded once for each layout of the KV cells, and contexts of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pyllama._ext.model import Model
from pyllama._ext.vocab import Vocab
from tests.ext.native import TEXT, Driver, load
from tests.support import stand_in


def pytest_collection_finish(session: pytest.Session) -> None:
    """Put the kernels' stand-in in its place, before any model is loaded."""
    stand_in.prepare(session)


@pytest.fixture(scope="module")
def kernels(request: pytest.FixtureRequest) -> Iterator[str]:
    """The processor's kernels, or their stand-in; ggml's name of their memory."""
    with stand_in.chosen(request.config) as name:
        yield name


@pytest.fixture(name="stand_in")
def _stand_in(pytestconfig: pytest.Config) -> stand_in.StandIn:
    """The stand-in itself, off, where the processor's own kernels are there as well."""
    return stand_in.installed(pytestconfig)


@pytest.fixture(scope="session")
def model(model_path: Path) -> Model:
    """The default model with a stream of KV cells for each of four slots."""
    return load(model_path, ("--no-kv-unified",))


@pytest.fixture(scope="session")
def unified_model(model_path: Path) -> Model:
    """The default model with one pool of KV cells."""
    return load(model_path, ("--kv-unified",))


@pytest.fixture(scope="session")
def vocab(model: Model) -> Vocab:
    """The default model's vocabulary."""
    return Vocab(model)


@pytest.fixture(scope="session")
def tokens(vocab: Vocab) -> list[int]:
    """A short text as tokens."""
    return vocab.tokenize(TEXT)


@pytest.fixture(scope="module")
def _streams(model: Model) -> Iterator[Driver]:
    driver = Driver.of(model)
    yield driver
    driver.context.close()


@pytest.fixture(scope="module")
def _pool(unified_model: Model) -> Iterator[Driver]:
    driver = Driver.of(unified_model)
    yield driver
    driver.context.close()


@pytest.fixture
def streams(_streams: Driver) -> Driver:
    """A context in streams, empty."""
    _streams.memory.clear()
    return _streams


@pytest.fixture
def pool(_pool: Driver) -> Driver:
    """A context with a unified cache, empty."""
    _pool.memory.clear()
    return _pool
