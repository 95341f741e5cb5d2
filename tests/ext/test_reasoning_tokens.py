"""Tokens of reasoning are counted as they come, in the formats of many model families."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from pyllama._ext.model import Model
from pyllama.text import AnswerReader, Detokenizer, StopMatcher
from pyllama.text.output import OutputFormat
from pyllama.text.parser import AnswerParser
from tests.support.formats import ANSWERS, answer, output_format

Formats = Callable[[str], OutputFormat]
THINKING = [(template, name) for template, name in ANSWERS if answer(template, name)[1][1]]
every_thought = pytest.mark.parametrize(("template", "name"), THINKING)


@pytest.fixture(scope="session")
def formats(model: Model) -> Formats:
    """What makes a template's output format, once."""
    return cache(lambda template: output_format(model, template))


def counted(form: OutputFormat, pieces: list[bytes], *stops: str) -> int:
    """Return how many tokens of an answer, each with a piece of its text, are reasoning."""
    reader = AnswerReader(Detokenizer(pieces), StopMatcher(stops), AnswerParser(form))
    for token in range(len(pieces)):
        reader.feed(token)
    reader.finish(is_cut=False)
    return reader.n_reasoning_tokens


def pieces_of(text: str, size: int) -> list[bytes]:
    """Return a text's bytes in pieces, which may be parts of characters."""
    data = text.encode()
    return [data[at : at + size] for at in range(0, len(data), size)]


def expected(text: str, reasoning: str, size: int) -> int:
    """Return how many pieces of a text have a part of the reasoning in them."""
    start = len(text[: text.index(reasoning)].encode())
    end = start + len(reasoning.encode())
    return (end - 1) // size - start // size + 1


@every_thought
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 1000])
@pytest.mark.parametrize("stops", [(), ("</nothing>", "\n<")])
def test_tokens_with_reasoning_in_them_count(
    formats: Formats, template: str, name: str, size: int, stops: tuple[str, ...]
) -> None:
    """However the text is cut into tokens, those count that have a part of the reasoning."""
    text, (_, reasoning, _) = answer(template, name)
    found = counted(formats(template), pieces_of(text, size), *(s for s in stops if s not in text))
    assert found == expected(text, reasoning, size)
