"""The life of a loaded model: loading, closing, draining, and files that are none."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest

from pyllama import Llama
from pyllama.errors import (
    Cancelled,
    Draining,
    EngineError,
    ModelLoadError,
    ModelNotFound,
    UnknownOption,
)

pytestmark = pytest.mark.model

ENDLESS = {"max_tokens": -1, "ignore_eos": True}


def small(path: Path) -> Llama:
    return Llama(str(path), ctx_size=1024, parallel=2, threads=1)


def engine_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "pyllama-engine"]


def test_close_ends_what_runs(model_path: Path) -> None:
    """Streams that run or wait when the model is closed end with Cancelled; no thread is left."""
    n_before = len(engine_threads())
    llm = small(model_path)
    streams = [llm.generate("Once", stream=True, **ENDLESS) for _ in range(3)]
    next(streams[0])
    llm.close()
    llm.close()
    for stream in streams:
        with pytest.raises(Cancelled):
            list(stream)
    assert len(engine_threads()) == n_before
    assert llm.status().state == "dead"


def test_a_closed_model_says_so(model_path: Path) -> None:
    """Every use after close() is EngineError, in the context manager's wake too."""
    with small(model_path) as llm:
        assert llm.status().state == "ready"
        assert llm.generate("Hi", max_tokens=1).usage.completion_tokens == 1
    for use in (lambda: llm.generate("Hi"), lambda: llm.tokenize("Hi"), llm.check_integrity):
        with pytest.raises(EngineError):
            use()


def test_drain_lets_answers_end_and_takes_no_more(model_path: Path) -> None:
    """What was accepted is finished; what comes is told that the server goes down."""
    with small(model_path) as llm:
        stream = llm.generate("Once", max_tokens=20, ignore_eos=True, stream=True)
        assert llm.drain(30.0) is True
        assert stream.result().usage.completion_tokens == 20
        with pytest.raises(Draining):
            llm.generate("Hi")
        assert llm.status().state == "draining"


def test_drain_has_a_deadline(model_path: Path) -> None:
    """What is not done in time ends with Cancelled."""
    with small(model_path) as llm:
        stream = llm.generate("Once", stream=True, **ENDLESS)
        assert llm.drain(0.1) is False
        with pytest.raises(Cancelled):
            list(stream)


def test_a_model_that_is_dropped_ends_its_thread(model_path: Path) -> None:
    """Without close() the last reference takes the thread with it."""
    n_before = len(engine_threads())
    llm = small(model_path)
    assert len(engine_threads()) == n_before + 1
    del llm
    gc.collect()
    assert len(engine_threads()) == n_before


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is ModelNotFound with the path and what to do."""
    with pytest.raises(ModelNotFound) as caught:
        Llama(str(tmp_path / "none.gguf"))
    assert "none.gguf" in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("content", [b"", b"GGUF", b"no model at all" * 100])
def test_a_file_that_is_no_model(tmp_path: Path, content: bytes) -> None:
    """A file without a model in it is ModelLoadError with a reason and a remedy."""
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    with pytest.raises(ModelLoadError) as caught:
        Llama(str(path))
    assert caught.value.path == str(path)
    assert caught.value.reason
    assert caught.value.remedy


def test_a_file_that_is_cut_off(tmp_path: Path, model_path: Path) -> None:
    """A download that broke off is told from its size, before it is loaded."""
    path = tmp_path / "cut.gguf"
    with model_path.open("rb") as file:
        path.write_bytes(file.read(8_000_000))
    with pytest.raises(ModelLoadError) as caught:
        Llama(str(path))
    assert caught.value.remedy


def test_options_are_checked_before_the_model(tmp_path: Path) -> None:
    """A misspelt option is told even where there is no model to load."""
    with pytest.raises(UnknownOption, match="ctx_size"):
        Llama(str(tmp_path / "none.gguf"), n_ctx=512)
