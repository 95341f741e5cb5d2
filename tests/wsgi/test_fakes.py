"""What stands in for the library's classes can be called as they are, and in no other way."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from pyllama.card import ModelCard
from pyllama.embeddings import PendingEmbeddings
from pyllama.llm import Llama
from tests.support.fake_card import FakeCard
from tests.support.fake_embeddings import FakeEmbeddings
from tests.support.fake_llama import FakeLlama

PAIRS = [(Llama, FakeLlama), (PendingEmbeddings, FakeEmbeddings), (ModelCard, FakeCard)]
# What a fake returns in the place of another class.
STAND_INS = {
    "FakeGenerations": "Generations",
    "FakeGeneration": "Generation",
    "FakeEmbeddings": "PendingEmbeddings",
    "FakePrompt": "Prompt",
}


def public(cls: type) -> dict[str, Any]:
    """Return what a class defines for others, as it stands there."""
    return {
        name: value
        for name, value in vars(cls).items()
        if (inspect.isroutine(value) or isinstance(value, property)) and name[0] != "_"
    }


def differences(real: type, fake: type) -> list[str]:
    """Return how the methods of a fake differ from those of what it stands in for."""
    found = []
    theirs = public(real)
    for name, ours in public(fake).items():
        if name == "of":
            # Its own way to be made.
            continue
        if name not in theirs:
            found.append(f"{name}: {real.__name__} has no such thing")
        elif isinstance(ours, property) != isinstance(theirs[name], property):
            found.append(f"{name}: one is a property, the other a method")
        elif not isinstance(ours, property):
            found += [f"{name}: {line}" for line in unlike(theirs[name], ours)]
    return found


def unlike(real: Any, fake: Any) -> list[str]:
    """Return how two functions differ in parameters and in what they return."""
    wanted, given = inspect.signature(real), inspect.signature(fake)
    found = [
        f"{name}: {given.parameters.get(name)}, not {wanted.parameters.get(name)}"
        for name in [*wanted.parameters, *(given.parameters.keys() - wanted.parameters)]
        if shape(given, name) != shape(wanted, name)
    ]
    returned = str(given.return_annotation)
    for stand_in, name in STAND_INS.items():
        returned = returned.replace(stand_in, name)
    if returned != str(wanted.return_annotation):
        found.append(f"returns {returned}, not {wanted.return_annotation}")
    return found


def shape(signature: inspect.Signature, name: str) -> tuple[Any, ...] | None:
    """Return how a parameter is given; None where there is none."""
    names = list(signature.parameters)
    if name not in names:
        return None
    parameter = signature.parameters[name]
    is_placed = parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    return parameter.kind, parameter.default, names.index(name) if is_placed else None


@pytest.mark.parametrize(("real", "fake"), PAIRS, ids=lambda cls: cls.__name__)
def test_a_fake_is_called_as_what_it_stands_in_for(real: type, fake: type) -> None:
    """Each method takes and returns the same: what passes with the fake passes with the model."""
    assert differences(real, fake) == []


class Real:
    def ask(self, text: str, *, times: int = 1) -> int:
        return len(text) * times

    @property
    def size(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def ask(self, text, *, times=1) -> str: ...", "ask: returns str"),
        ("def ask(self, text, times=1) -> int: ...", "ask: times"),
        ("def ask(self, text, *, times=2) -> int: ...", "ask: times"),
        ("def ask(self, text, **options) -> int: ...", "ask: times"),
        ("def ask(self, text, *, times=1, more=0) -> int: ...", "ask: more"),
        ("def ask(self, *, times=1) -> int: ...", "ask: text"),
        ("def tell(self): ...", "tell: Real has no such thing"),
        ("def size(self): ...", "size: one is a property"),
    ],
)
def test_a_fake_that_has_moved_away_is_found(source: str, said: str) -> None:
    """A name, a parameter, a default or a result that differs is told."""
    space: dict[str, Any] = {}
    exec(source, space)  # noqa: S102
    name = source.partition("(")[0].removeprefix("def ")
    assert any(said in line for line in differences(Real, type("Fake", (), {name: space[name]})))
