"""Native work that takes long asks whether to go on, and ends where it shall not."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from pyllama._ext import interrupt
from pyllama._ext.chat import ChatTemplate
from pyllama._ext.model import Model
from pyllama._ext.vocab import Vocab
from pyllama.interruption import Interruptible, checkpoint

Work = Callable[[], Any]

interrupt.install(checkpoint)


class GoneError(Exception):
    """What the look raises that ends the work."""


class Look:
    """Counts looks, and the processor's time between them; ends the work at the last one."""

    def __init__(self, n_max: int | None = None) -> None:
        self.times_s = [time.thread_time()]
        self._n_max = n_max

    def __call__(self) -> None:
        self.times_s.append(time.thread_time())
        if len(self.times_s) - 1 == self._n_max:
            raise GoneError

    @property
    def n_looks(self) -> int:
        return len(self.times_s) - 1


def rendering(model: Model, n: int) -> Work:
    template = ChatTemplate(model)
    roles = ("user", "assistant")
    messages = [{"role": roles[index % 2], "content": f"hello {index}"} for index in range(n)]
    text = json.dumps({"messages": messages, "prompt_only": True})
    return lambda: template.apply(text)


def tokenising(model: Model, text: str) -> Work:
    vocab = Vocab(model)
    return lambda: vocab.tokenize(text, parse_special=True)


WORK: dict[str, Callable[[Model], Work]] = {
    "many messages": lambda model: rendering(model, 10_000),
    "words": lambda model: tokenising(model, "many words of a text, " * 120_000),
    "one word": lambda model: tokenising(model, "x" * 1_000_000),
    "special tokens": lambda model: tokenising(model, "<|im_start|>a<|im_end|>" * 60_000),
}


@pytest.fixture(scope="module", params=WORK)
def work(request: pytest.FixtureRequest, model: Model) -> Work:
    return WORK[request.param](model)


def test_long_work_asks_all_along(work: Work) -> None:
    """No stretch between two looks is a large part of the whole, nor is the end."""
    look = Look()
    with Interruptible(look):
        work()
    times = [*look.times_s, time.thread_time()]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert look.n_looks >= 4
    assert max(gaps) < max(0.5 * (times[-1] - times[0]), 0.25)


def test_work_ends_at_the_look_that_says_so(work: Work) -> None:
    """The look's own exception comes out, and nothing asks after it."""
    look = Look(2)
    with pytest.raises(GoneError), Interruptible(look):
        work()
    assert look.n_looks == 2


def test_work_is_done_again_after_an_end(model: Model) -> None:
    """What was ended leaves nothing behind: the same call has the same result as before."""
    work = tokenising(model, "one and two, " * 60_000)
    before = work()
    with pytest.raises(GoneError), Interruptible(Look(1)):
        work()
    assert work() == before


def test_work_that_nobody_watches_runs_to_its_end(model: Model) -> None:
    """Outside of an Interruptible the same work is just done."""
    assert len(tokenising(model, "<|im_start|>" * 1000)()) == 1000


def test_object_of_very_many_members_is_refused(model: Model) -> None:
    """llama-common would look through all members for each one."""
    kwargs = {str(index): index for index in range(1001)}
    messages = [{"role": "user", "content": 'of {"a": 1, "b": {"c": "\\"}'}]
    template = ChatTemplate(model)
    template.apply(json.dumps({"messages": messages, "chat_template_kwargs": {"x": 1}}))
    with pytest.raises(Exception, match="an object has more than 1000 members"):
        template.apply(json.dumps({"messages": messages, "chat_template_kwargs": kwargs}))
