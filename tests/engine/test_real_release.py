"""What a closed model gives back: all of it, at once, and whoever still holds what."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyllama import Llama
from pyllama.errors import Cancelled, ModelClosed
from tests.support.memory import needs_proc, resident_bytes

pytestmark = [pytest.mark.model, needs_proc]

HI = [{"role": "user", "content": "Hi"}]
ENDLESS = {"max_tokens": -1, "ignore_eos": True}


def small(path: Path) -> Llama:
    return Llama(str(path), ctx_size=1024, parallel=2, threads=1)


@pytest.fixture(autouse=True)
def _no_collector(model_path: Path) -> Iterator[None]:
    """Without it a cycle keeps what it holds; the first load is not counted."""
    small(model_path).close()
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def used(llm: Llama, path: Path) -> list[Any]:
    """Return what a client may hold after it used a model in every way."""
    whole = llm.chat(HI, max_tokens=3)
    stream = llm.generate("Once", stream=True, **ENDLESS)
    next(stream)
    ended = llm.generate("Once", stream=True, max_tokens=2)
    ended.result()
    several = llm.start_all([(llm.text_prompt("One"), llm.defaults)] * 2)
    embeddings = llm.embed(["a text"])
    pending = llm.start_embed(["another"])
    prompt = llm.chat_prompt(HI, json_schema={"type": "object"})
    return [whole, stream, ended, several, embeddings, pending, prompt, llm.card, llm.metrics()]


def test_close_gives_back_the_weights(model_path: Path) -> None:
    """While the closed model, its answers and its streams are still held."""
    llm = small(model_path)
    held = used(llm, model_path)
    n_open = resident_bytes()
    llm.close()
    n_freed = n_open - resident_bytes()
    assert n_freed > 0.9 * llm.info.size_bytes
    assert len(held) == 9


def test_close_ends_what_other_threads_read(model_path: Path) -> None:
    """A chat that runs is ended with Cancelled, and keeps nothing in memory."""
    llm = small(model_path)
    errors: list[BaseException] = []
    begun = threading.Event()

    def read() -> None:
        stream = llm.chat(HI, stream=True, **ENDLESS)
        try:
            for _ in stream:
                begun.set()
        except Cancelled as error:
            errors.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    assert begun.wait(60)
    n_open = resident_bytes()
    llm.close()
    thread.join(60)
    assert len(errors) == 1
    errors.clear()
    assert n_open - resident_bytes() > 0.9 * llm.info.size_bytes


def test_every_use_of_a_closed_model_says_so(model_path: Path) -> None:
    """Each method that needs the model raises; those that tell of it answer."""
    llm = small(model_path)
    prompt = llm.text_prompt("Hi")
    with llm:
        llm.chat(HI, max_tokens=1)
    uses = (
        lambda: llm.chat(HI),
        lambda: llm.generate("Hi", stream=True),
        lambda: llm.embed("Hi"),
        lambda: llm.tokenize("Hi"),
        lambda: llm.detokenize([1]),
        lambda: llm.piece(1),
        lambda: llm.chat_prompt(HI),
        lambda: llm.text_prompt("Hi"),
        lambda: llm.infill_prompt("a", "b"),
        lambda: llm.start(prompt, llm.defaults),
        lambda: llm.start_all([(prompt, llm.defaults)]),
        lambda: llm.reader(prompt, llm.defaults),
        llm.check_integrity,
    )
    for use in uses:
        with pytest.raises(ModelClosed, match="closed"):
            use()
    llm.close()
    assert llm.status().state == "dead"
    assert llm.metrics().finished["length"] == 1
    assert llm.drain(1.0)


@pytest.mark.parametrize("is_closed", [True, False])
def test_a_model_leaves_nothing_when_it_is_dropped(model_path: Path, *, is_closed: bool) -> None:
    """No collector is needed to free it, whether it was closed or only dropped."""
    from pyllama._ext.model import Model  # the compiled class, to count its objects

    def n_models() -> int:
        return sum(type(item) is Model for item in gc.get_objects())

    n_before = n_models()
    llm = small(model_path)
    llm.chat(HI, max_tokens=2)
    assert n_models() == n_before + 1
    if is_closed:
        llm.close()
        llm.close()
    else:
        del llm
    assert n_models() == n_before


def test_loading_again_and_again_takes_no_more(model_path: Path) -> None:
    """Memory after many loads is that after a few."""
    sizes = []
    for _ in range(14):
        llm = small(model_path)
        llm.chat(HI, max_tokens=2)
        llm.close()
        sizes.append(resident_bytes())
    assert max(sizes[8:]) < 1.15 * min(sizes[2:5])
