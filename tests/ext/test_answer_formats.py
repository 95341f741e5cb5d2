"""Answers in the formats of many model families, however their text is cut."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyllama._ext.model import Model
from pyllama.text.json_scan import JsonScanner
from pyllama.text.output import OutputFormat
from pyllama.text.parser import AnswerParser
from tests.support import strategies
from tests.support.formats import (
    ANSWERS,
    FAMILIES,
    TALK,
    THOUGHT,
    answer,
    output_format,
    read,
    says,
)

Formats = Callable[..., OutputFormat]
every_answer = pytest.mark.parametrize(("template", "name"), ANSWERS)
every_family = pytest.mark.parametrize("template", [family.template for family in FAMILIES])


@pytest.fixture(scope="session")
def formats(model: Model) -> Formats:
    """What makes a template's output format, once."""
    return cache(lambda template, **request: output_format(model, template, **request))


@every_answer
def test_an_answer_says_what_it_means(formats: Formats, template: str, name: str) -> None:
    """A whole answer gives the content, the reasoning and the calls that a person reads in it."""
    text, expected = answer(template, name)
    parser = AnswerParser(formats(template))
    assert says(read(parser, [text])) == expected
    assert parser.has_tool_calls == bool(expected[2])


@every_answer
def test_cuts_play_no_part(formats: Formats, template: str, name: str) -> None:
    """Cut in two at any place, or fed one character at a time, an answer says the same."""
    text, expected = answer(template, name)
    form = formats(template)
    assert says(read(AnswerParser(form), text)) == expected
    for at in range(1, len(text)):
        assert says(read(AnswerParser(form), [text[:at], text[at:]])) == expected, at


@every_answer
def test_an_answer_streams(formats: Formats, template: str, name: str) -> None:
    """Almost nothing of an answer waits for its end."""
    text, expected = answer(template, name)
    parser = AnswerParser(formats(template))
    for letter in text:
        parser.feed(letter)
    last = parser.finish(is_cut=False)
    rest = last.content + last.reasoning + "".join(call.arguments for call in last.tool_calls)
    assert len(rest) <= (len(text) if "braces" in name else 24), (rest, expected)


@every_answer
def test_calls_are_named_once_and_first(formats: Formats, template: str, name: str) -> None:
    """A call's first piece has its id and name, the others neither; indices count up from 0."""
    text, expected = answer(template, name)
    parser = AnswerParser(formats(template))
    pieces = [piece for letter in text for piece in parser.feed(letter).tool_calls]
    pieces += parser.finish(is_cut=False).tool_calls
    named = [piece for piece in pieces if piece.name]
    assert [piece.index for piece in named] == list(range(len(expected[2])))
    assert all(bool(piece.id) == bool(piece.name) for piece in pieces)
    assert len({piece.id for piece in named}) == len(named)
    assert [piece.index for piece in pieces] == sorted(piece.index for piece in pieces)


@every_answer
def test_a_cut_answer_is_the_beginning_of_the_whole(
    formats: Formats, template: str, name: str
) -> None:
    """An answer cut anywhere says no more than the whole one, and nothing that it takes back."""
    text, _ = answer(template, name)
    form = formats(template)
    whole = read(AnswerParser(form), [text])
    for at in range(0, len(text), 3):
        part = read(AnswerParser(form), text[:at], is_cut=True)
        assert whole.reasoning.startswith(part.reasoning.rstrip()), at
        for ours, theirs in zip(part.tool_calls, whole.tool_calls, strict=False):
            assert ours.name == theirs.name
            assert theirs.arguments.startswith(ours.arguments.rstrip("}")), at


@every_family
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_damaged_answers_are_read_as_well(formats: Formats, template: str, data: Any) -> None:
    """Whatever comes, in whatever pieces, nothing is raised, and arguments stay JSON so far."""
    form = formats(template)
    names = [name for known, name in ANSWERS if known == template]
    text, _ = answer(template, data.draw(st.sampled_from(names)))
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    text = text[:start] + data.draw(st.text(max_size=8)) + text[end:]
    pieces = data.draw(strategies.cuts(text))
    is_cut = data.draw(st.booleans())
    parser = AnswerParser(form)
    ours = read(parser, pieces, is_cut=is_cut)
    assert len(ours.text) + len(ours.reasoning) <= len(text)
    for call in ours.tool_calls:
        assert JsonScanner().feed(call.arguments) == (call.arguments, "")
    assert parser._reader is not None
    if parser._reader._parse(text) is not None:
        at_once = read(AnswerParser(form), [text], is_cut=is_cut)
        assert ours.text.strip() == at_once.text.strip()
        assert ours.reasoning.strip() == at_once.reasoning.strip()
        assert [call.name for call in ours.tool_calls] == [call.name for call in at_once.tool_calls]


@pytest.mark.parametrize("template", ["Qwen-Qwen3-0.6B", "Qwen3-Coder", "google-gemma-4-31B-it"])
@pytest.mark.parametrize("text", ["a <", "a <tool_c", "1 < 2 <|", "x = {\n"])
def test_what_only_looks_like_markup_is_kept(formats: Formats, template: str, text: str) -> None:
    """An answer that ends by itself keeps what could have begun a call; a cut one drops that."""
    form = formats(template)
    for pieces in ([text], list(text)):
        assert read(AnswerParser(form), pieces).text == text
        assert text.startswith(read(AnswerParser(form), pieces, is_cut=True).text)


@every_family
def test_text_that_is_not_in_the_format_is_content(formats: Formats, template: str) -> None:
    """A call of a tool that does not exist, and all that follows it, is content in the end."""
    name = "plain" if (template, "plain") in ANSWERS else "thought"
    text, (content, reasoning, _) = answer(template, name)
    wrong = text + '\n<tool_call>\n{"name": "nope", "arguments": {}}\n</tool_call>{1}[TOOL_CALLS]x'
    whole = read(AnswerParser(formats(template)), wrong)
    assert whole.text.startswith(content)
    assert whole.reasoning == reasoning
    assert whole.text.endswith("x")
    assert "nope" in whole.text
    assert not whole.tool_calls


@pytest.mark.parametrize("kind", ["none", "deepseek", "deepseek-legacy", "auto"])
def test_reasoning_goes_where_the_format_says(formats: Formats, kind: str) -> None:
    """``none`` leaves the block in the content, ``deepseek`` takes it out, legacy does both."""
    form = formats("Qwen-Qwen3-0.6B", reasoning_format=kind)
    text = f"<think>{THOUGHT}</think>{TALK}"
    for pieces in ([text], list(text)):
        whole = read(AnswerParser(form), pieces)
        inside = kind in {"none", "deepseek-legacy"}
        assert whole.text == (text if inside else TALK)
        assert whole.reasoning == ("" if kind == "none" else THOUGHT)


def test_a_continued_message_gives_only_what_is_new(model: Model) -> None:
    """What the prompt has of the assistant's message already is not repeated."""
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello, I am"}]
    form = output_format(
        model, "Qwen-Qwen3-0.6B", messages=messages, continue_final_message="content"
    )
    form = OutputFormat(
        **{**{name: getattr(form, name) for name in form.__slots__}, "is_continuation": True}
    )
    for pieces in ([" a model."], list(" a model.")):
        assert says(read(AnswerParser(form), pieces)) == (" a model.", "", [])


@pytest.mark.parametrize(
    ("template", "begin", "piece", "field"),
    [
        ("NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "", "word ", "text"),
        ("Qwen-Qwen3-0.6B", "<think>\n", "so < ", "reasoning"),
        (
            "NousResearch-Hermes-3-Llama-3.1-8B-tool_use",
            '<tool_call>\n{"name": "write_file", "arguments": {"path": "',
            'a \\" {',
            "arguments",
        ),
        (
            "Qwen3-Coder",
            "<tool_call>\n<function=write_file>\n<parameter=path>\n",
            'a "\n<b',
            "arguments",
        ),
        ("google-gemma-4-31B-it", '<|tool_call>call:write_file{path:<|"|>', "a:<", "arguments"),
    ],
)
def test_a_long_answer_is_parsed_a_few_times(
    formats: Formats,
    monkeypatch: pytest.MonkeyPatch,
    template: str,
    begin: str,
    piece: str,
    field: str,
) -> None:
    """Inside of free text no token is parsed: 3,000 tokens cost as many parses as 100."""
    parser = AnswerParser(formats(template))
    assert parser._reader is not None
    n_chars = 0
    parse = parser._reader._parse

    def counted(text: str) -> Any:
        nonlocal n_chars
        n_chars += len(text)
        return parse(text)

    monkeypatch.setattr(parser._reader, "_parse", counted)
    parser.feed(begin)
    for _ in range(100):
        parser.feed(piece)
    n_before = n_chars
    deltas = [parser.feed(piece) for _ in range(3000)]
    assert n_chars == n_before
    if field == "arguments":
        length = sum(len(call.arguments) for delta in deltas for call in delta.tool_calls)
    else:
        length = sum(len(delta.content) + len(delta.reasoning) for delta in deltas)
    assert length >= 3000 * len(piece)


def test_a_format_without_free_text_is_parsed_in_bounded_portions(formats: Formats) -> None:
    """Where every token must be parsed, their mean cost has a bound."""
    parser = AnswerParser(formats("LFM2.5-8B-A1B"))
    assert parser._reader is not None
    n_chars = 0
    parse = parser._reader._parse

    def counted(text: str) -> Any:
        nonlocal n_chars
        n_chars += len(text)
        return parse(text)

    parser._reader._parse = counted  # type: ignore[method-assign]
    parser.feed("<|tool_call_start|>[write_file(path='a', text='")
    for _ in range(2000):
        parser.feed("it\\'s ")
    parser.feed("')]<|tool_call_end|>")
    assert n_chars <= 2000 * 700
    whole = parser.finish(is_cut=False)
    assert whole.tool_calls


def test_calls_have_ids_of_their_own(formats: Formats) -> None:
    """Where the format has no ids, each call gets a long random one."""
    text, _ = answer("Qwen3-Coder", "talk and calls")
    ids = [
        call.id
        for _ in range(2)
        for call in read(AnswerParser(formats("Qwen3-Coder")), text).tool_calls
    ]
    assert len(set(ids)) == 4
    assert all(
        call_id.startswith("call_") and len(call_id) >= 29 and call_id[5:].isalnum()
        for call_id in ids
    )


def test_control_characters_do_not_break_the_arguments(formats: Formats) -> None:
    """A line break inside of a JSON string, which JSON forbids, comes out escaped."""
    text = '{"name": "write_file", "arguments": {"path": "a", "text": "x\ny\t"}}'
    text = f"<tool_call>\n{text}\n</tool_call>"
    form = formats("NousResearch-Hermes-3-Llama-3.1-8B-tool_use")
    for pieces in ([text], list(text)):
        (call,) = read(AnswerParser(form), pieces).tool_calls
        assert json.loads(call.arguments) == {"path": "a", "text": "x\ny\t"}
