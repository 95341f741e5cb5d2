"""A fake model behind the command, and streams to look at."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import Any

import pytest

from pyllama.cli import run
from pyllama.cli.chat.state import Chat
from pyllama.cli.console import Console
from pyllama.settings.settings import Settings
from tests.support.fake_llama import FakeLlama


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def llm(monkeypatch: pytest.MonkeyPatch) -> FakeLlama:
    """The model that the commands load."""
    fake = FakeLlama()

    def load(settings: Settings) -> Any:
        fake.settings = settings
        fake.defaults = settings.generation
        fake.recommended = fake.card.recommendation.without(settings.generation_given)
        return contextlib.nullcontext(fake)

    monkeypatch.setattr(run, "load", load)
    return fake


@pytest.fixture
def make_chat(llm: FakeLlama) -> Callable[..., Chat]:
    """What makes chats with the fake model; their output is ``chat.out._out``."""

    def make(**options: Any) -> Chat:
        console = Console(Terminal(), environ={"TERM": "xterm"}, color=False)
        model: Any = llm
        return Chat(model, console, console, options=options)

    return make


@pytest.fixture
def chat(make_chat: Callable[..., Chat]) -> Chat:
    return make_chat()


@pytest.fixture
def said(chat: Chat) -> Callable[[], str]:
    """What tells everything that the chat showed."""
    stream: Any = chat.out._out
    return lambda: str(stream.getvalue())
