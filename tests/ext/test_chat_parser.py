"""llama-common's parser of answers, through the bridge."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from pyllama._ext.chat_parser import ChatParser
from pyllama._ext.model import Model
from pyllama.errors import NativeError
from tests.support.formats import output_format

HERMES = "NousResearch-Hermes-3-Llama-3.1-8B-tool_use"


def params(model: Model, template: str = HERMES, **changes: Any) -> str:
    form = output_format(model, template)
    return json.dumps(
        {
            "format": form.format,
            "parser": form.parser,
            "generation_prompt": form.generation_prompt,
            "reasoning_format": "auto",
            "parse_tool_calls": True,
            "is_continuation": False,
            **changes,
        }
    )


def test_a_text_is_read_as_far_as_it_goes(model: Model) -> None:
    """A part of a call has a part of its arguments, and more has to follow."""
    text = 'I look.<tool_call>\n{"name": "get_weather", "arguments": {"city": "Pa'
    assert ChatParser(params(model)).parse(text) == {
        "content": "I look.",
        "reasoning": "",
        "tool_calls": [{"id": "", "name": "get_weather", "arguments": '{"city": "Pa'}],
        "rest": "",
        "is_open": True,
    }


def test_what_ends_free_text_is_known(model: Model) -> None:
    """The delimiters of a format are listed."""
    assert ChatParser(params(model)).delimiters == ("<tool_call>\n",)


def test_a_text_that_is_not_in_the_format_is_refused(model: Model) -> None:
    """A tool that does not exist is no beginning of a call."""
    with pytest.raises(NativeError, match="not in the format"):
        ChatParser(params(model)).parse('<tool_call>\n{"name": "nope"')


@pytest.mark.parametrize("depth", [513, 100_000])
def test_depth_does_not_end_the_process(model: Model, depth: int) -> None:
    """Values that nest too deep are refused before the parser calls itself so often."""
    parser = ChatParser(params(model))
    begin = '<tool_call>\n{"name": "get_weather", "arguments": {"a": '
    with pytest.raises(NativeError, match="nest deeper"):
        parser.parse(begin + "[" * depth)


def test_the_allowed_depth_fits_a_thread(model: Model) -> None:
    """The deepest values that are allowed fit the stack of a thread of 4 MiB."""
    parser = ChatParser(params(model))
    text = '<tool_call>\n{"name": "get_weather", "arguments": ' + '{"a":[' * 255
    read: list[str] = []
    before = threading.stack_size(4 << 20)
    try:
        thread = threading.Thread(
            target=lambda: read.append(parser.parse(text)["tool_calls"][0]["name"])
        )
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert read == ["get_weather"]


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 99},
        {"format": -1},
        {"format": "x"},
        {"parser": "{"},
        {"parser": "{}"},
        {"parser": 5},
        {"reasoning_format": "nonsense"},
        {"generation_prompt": None},
    ],
)
def test_malformed_parameters_are_refused(model: Model, changes: dict[str, Any]) -> None:
    """What is no parser is a NativeError with a reason."""
    with pytest.raises(NativeError, match=r"common_peg_arena::load: ."):
        ChatParser(params(model, **changes))


def test_threads_share_a_parser(model: Model) -> None:
    """Threads that read at once each get their own message."""
    parser = ChatParser(params(model))
    wrong: list[str] = []

    def read(name: str) -> None:
        found = [parser.parse(name)["content"] for _ in range(100)]
        wrong.extend(text for text in found if text != name)

    threads = [threading.Thread(target=read, args=(f"text {i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
