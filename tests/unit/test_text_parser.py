"""Answers without a format of their own: bare JSON calls, response schemas, preserved tokens."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllama.errors import InvalidResponse
from pyllama.text import Detokenizer
from pyllama.text.json_calls import MAX_HELD
from pyllama.text.output import OutputFormat
from pyllama.text.parser import AnswerParser
from tests.support import strategies
from tests.support.formats import TOOLS, read, says

PARIS = {"city": "Paris"}
CALL = json.dumps({"name": "get_weather", "arguments": PARIS})


def form(**changes: Any) -> OutputFormat:
    """Return the format of plain text, in which JSON may be a call."""
    given: dict[str, Any] = {
        "tools": tuple(TOOLS),
        "json_calls": True,
        "parallel_tool_calls": True,
        **changes,
    }
    return OutputFormat(format=0, parser="", **given)


@pytest.mark.parametrize(
    "text",
    [
        CALL,
        f"\n {CALL}\n",
        f"```json\n{CALL}\n```",
        f"```\n{CALL}\n```\n",
        json.dumps({"arguments": PARIS, "name": "get_weather"}),
        json.dumps({"name": "get_weather", "parameters": PARIS}),
        json.dumps({"function": "get_weather", "arguments": json.dumps(PARIS)}),
        json.dumps({"type": "function", "function": {"name": "get_weather", "arguments": PARIS}}),
        f"[{CALL}]",
    ],
)
def test_json_that_names_a_tool_is_a_call(text: str) -> None:
    """In all its usual spellings, whole or letter by letter, such an answer is a call."""
    for pieces in ([text], list(text)):
        parser = AnswerParser(form())
        assert says(read(parser, pieces)) == ("", "", [("get_weather", PARIS)])
        assert parser.has_tool_calls


def test_a_list_is_as_many_calls() -> None:
    """A list of two calls is two calls where the request allows that, else content."""
    text = f"[{CALL}, {CALL}]"
    calls = read(AnswerParser(form()), text).tool_calls
    assert [call.name for call in calls] == ["get_weather"] * 2
    assert calls[0].id != calls[1].id
    assert read(AnswerParser(form(parallel_tool_calls=False)), text).text == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello {there}",
        "{}",
        "[]",
        "[1, 2]",
        "{1}",
        '{"name": "nope", "arguments": {}}',
        '{"name": "get_weather", "arguments": {}}',
        '{"name": "get_weather", "arguments": {"city": 5}}',
        '{"name": "get_weather", "arguments": {"city": "x"}, "more": 1}',
        '{"name": ["get_weather"], "arguments": {"city": "x"}}',
        '{"city": "Paris"}',
        f"{CALL} It is so.",
        f"{CALL}{CALL}",
        f"```python\n{CALL}\n```",
        f"```json\n{CALL}\n``` and so on",
        f"```json\n{CALL}",
        CALL[:-1],
        " \n",
        "```",
    ],
)
def test_everything_else_is_content(text: str) -> None:
    """An answer that is not such a call, or more than one, comes out as it is."""
    for pieces in ([text], list(text)):
        assert says(read(AnswerParser(form()), pieces)) == (text, "", [])


@given(st.data(), st.text('{}[]"`:, \nnamejson', max_size=24))
def test_content_is_never_lost(data: Any, text: str) -> None:
    """Whatever comes in whatever pieces, all of it is content."""
    pieces = data.draw(strategies.cuts(text))
    assert read(AnswerParser(form()), pieces).text == text


def test_what_cannot_be_a_call_is_released_at_once() -> None:
    """Content waits only for as long as it may still become a call."""
    parser = AnswerParser(form())
    assert parser.feed('{"na').content == ""
    assert parser.feed('me": "get_up", ').content == '{"name": "get_up", '
    assert parser.feed('"arguments": {}}').content == '"arguments": {}}'
    parser = AnswerParser(form())
    assert parser.feed("[1").content == ""
    assert parser.feed(", 2]").content == ""
    assert parser.finish(is_cut=False).content == "[1, 2]"
    parser = AnswerParser(form())
    begun = '{"name": "get_weather", "arguments": {"city": "'
    assert parser.feed(begun).content == ""
    assert len(parser.feed("x" * MAX_HELD).content) == MAX_HELD + len(begun)


def test_a_cut_call_is_content() -> None:
    """A call that max_tokens cut is none, even if it is JSON by then."""
    assert read(AnswerParser(form()), [CALL], is_cut=True).text == CALL


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def test_content_must_satisfy_the_schema() -> None:
    """An answer that does not fit is an error that names each fault's path."""
    asked = form(json_calls=False, schema=SCHEMA)
    assert read(AnswerParser(asked), ['{"a"', ": 1}"]).text == '{"a": 1}'
    with pytest.raises(InvalidResponse, match="schema") as caught:
        read(AnswerParser(asked), ['{"a": "x"}'])
    assert caught.value.details[0]["path"] == "$.a"
    with pytest.raises(InvalidResponse, match="not JSON"):
        read(AnswerParser(asked), ['{"a": '])
    assert read(AnswerParser(asked), ['{"a": '], is_cut=True).text == '{"a": '


def test_a_call_needs_no_content() -> None:
    """An answer that calls a tool has no content to hold against the schema."""
    whole = read(AnswerParser(form(schema=SCHEMA)), [CALL])
    assert len(whole.tool_calls) == 1


def test_preserved_tokens_have_their_text() -> None:
    """A control token whose text counts is rendered; the others stay silent."""
    pieces = [b"", b"", b"a"]
    detokenizer = Detokenizer(pieces, {1: b"<call>"})
    assert detokenizer.feed((0, 1, 2)) == "<call>a"
    assert Detokenizer(pieces).feed((0, 1, 2)) == "a"
