"""Constrained answers of the default model: calls, schemas, grammars, thinking."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pyllama import Llama
from pyllama.errors import InvalidRequest, InvalidResponse
from pyllama.text import Constraint, Prompt
from pyllama.text.parser import AnswerParser
from tests.support.formats import read

pytestmark = pytest.mark.model

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "maxLength": 40},
                "days": {"type": "integer", "minimum": 1, "maximum": 14},
            },
            "required": ["city"],
        },
    },
}
SUM: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two numbers",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
            "required": ["a", "b"],
        },
    },
}
PARAMETERS = {tool["function"]["name"]: tool["function"]["parameters"] for tool in (WEATHER, SUM)}
BAD = {"type": "object", "properties": {"a": {"type": "nothing"}}}
QUESTIONS = [
    "Hi",
    "Weather in Rome?",
    "What is 3 plus 4?",
    "Tell me a joke.",
    "Write a poem about the sea.",
    "How are you?",
    "Translate 'cat' to French.",
    "Who wrote Hamlet?",
    "List three colours.",
    "2+2?",
]
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 12}, "ok": {"type": "boolean"}},
    "required": ["name", "ok"],
}
# A template for models that think: the block is open where the answer begins.
THINKING = """
{%- for m in messages -%}
<|im_start|>{{ m.role }}
{% if m.reasoning_content %}<think>
{{ m.reasoning_content }}
</think>

{% endif %}{{ m.content }}<|im_end|>
{% endfor -%}
{%- if add_generation_prompt -%}<|im_start|>assistant
<think>
{% endif -%}"""


@pytest.fixture(scope="module")
def llm(model_path: Path) -> Iterator[Llama]:
    with Llama(str(model_path), ctx_size=4096, parallel=4, threads=1) as llm:
        yield llm


@pytest.fixture(scope="module")
def thinker(model_path: Path) -> Iterator[Llama]:
    with Llama(
        str(model_path), ctx_size=4096, parallel=4, threads=1, chat_template=THINKING
    ) as llm:
        yield llm


def user(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def answer(llm: Llama, prompt: Prompt, **params: Any) -> tuple[str, str]:
    """Return the raw text of an answer, and why it ended."""
    unread = Prompt(prompt.tokens, prompt.stop, prompt.constraint)
    done = llm.start(unread, llm.defaults.with_options(**params)).result()
    return done.text, done.finish_reason


def calls_in(text: str, *, is_cut: bool = False) -> list[dict[str, Any]]:
    """Return the calls of an answer that is nothing but one block: objects with commas between.

    How many there are is the model's choice, so that one with a limit may be cut within the last.
    """
    body = text.strip()
    assert body.startswith("<tool_call>"), text
    calls: list[dict[str, Any]] = []
    at, mark = len("<tool_call>"), ","
    while mark == "," and body[at:].strip():
        at += len(body[at:]) - len(body[at:].lstrip())
        try:
            call, at = json.JSONDecoder().raw_decode(body, at)
        except ValueError:
            assert is_cut, text
            return calls
        calls.append(call)
        rest = body[at:].lstrip()
        mark = rest[:1]
        at = len(body) - len(rest) + (mark == ",")
    assert is_cut or (calls and body[at:] == "</tool_call>"), text
    return calls


def parsed(prompt: Prompt, text: str, *, is_cut: bool = False) -> list[dict[str, Any]]:
    """Return the calls that a client gets of an answer, the same whether it came in pieces."""
    assert prompt.output is not None
    found = []
    for pieces in ([text], list(text)):
        read_ = read(AnswerParser(prompt.output), pieces, is_cut=is_cut)
        assert read_.text.strip() == "", text
        found.append([(call.name, call.arguments) for call in read_.tool_calls])
    assert found[0] == found[1], text
    whole = found[0][:-1] if is_cut else found[0]
    return [{"name": name, "arguments": json.loads(arguments)} for name, arguments in whole]


@pytest.mark.parametrize("temperature", [0.0, 0.8])
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_required_call_is_made(llm: Llama, question: str, temperature: float) -> None:
    """Whatever the question, the answer is a call with arguments that fit, and nothing else."""
    prompt = llm.chat_prompt(
        user(question), tools=[WEATHER, SUM], tool_choice="required", parallel_tool_calls=False
    )
    text, reason = answer(llm, prompt, max_tokens=300, temperature=temperature, seed=1)
    assert reason == "stop", text
    (call,) = calls_in(text)
    jsonschema.validate(call["arguments"], PARAMETERS[call["name"]])
    assert parsed(prompt, text) == [call]


def test_the_named_tool_is_called(llm: Llama) -> None:
    """A tool chosen by name is the one that is called, however little it fits."""
    for tool in (WEATHER, SUM):
        name = tool["function"]["name"]
        choice = {"type": "function", "function": {"name": name}}
        prompt = llm.chat_prompt(
            user("Hi"), tools=[WEATHER, SUM], tool_choice=choice, parallel_tool_calls=False
        )
        text, reason = answer(llm, prompt, max_tokens=200)
        assert reason == "stop", text
        (call,) = calls_in(text)
        assert call["name"] == name
        assert parsed(prompt, text) == [call]


def test_an_answer_whose_grammar_is_too_ambiguous_is_an_error(llm: Llama) -> None:
    """Not an empty one that ended well; a neighbour's answer is what it is alone."""
    alone = llm.chat(user("Hi"), max_tokens=20, temperature=0.0).text
    beside = llm.chat(user("Hi"), max_tokens=20, temperature=0.0, stream=True)
    with pytest.raises(InvalidResponse, match="too ambiguous"):
        llm.chat(user("x"), grammar='root ::= (([a-z ]?){30}){30} "Q"', max_tokens=15)
    assert "".join(delta.text for delta in beside) == alone
    pattern = {"type": "string", "pattern": "^(([a-z ]?){30}){30}Q$"}
    form = {"type": "object", "properties": {"a": pattern}, "required": ["a"]}
    with pytest.raises(InvalidResponse, match="too ambiguous"):
        llm.chat(user("x"), response_format=form, max_tokens=30)


def test_a_call_that_is_cut_ends_by_length(llm: Llama) -> None:
    """max_tokens wins over the grammar."""
    prompt = llm.chat_prompt(user("Hi"), tools=[WEATHER], tool_choice="required")
    text, reason = answer(llm, prompt, max_tokens=5)
    assert reason == "length"
    assert text.strip().startswith("<tool")


@pytest.mark.parametrize("temperature", [0.0, 1.2])
def test_content_satisfies_its_schema(llm: Llama, temperature: float) -> None:
    """The answer is JSON of that form, for chats and for texts."""
    for prompt in (
        llm.chat_prompt(user("Who are you?"), json_schema=SCHEMA),
        llm.text_prompt("A person as JSON: ", json_schema=SCHEMA),
    ):
        text, reason = answer(llm, prompt, max_tokens=300, temperature=temperature, seed=3)
        assert reason == "stop"
        jsonschema.validate(json.loads(text), SCHEMA)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"response_format": BAD}, "response_format.properties.a.type"),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": BAD}}},
         "response_format.json_schema.schema.properties.a.type"),
        ({"response_format": {"type": "json_object", "schema": False}}, "response_format.schema"),
        ({"json_schema": BAD}, "json_schema.properties.a.type"),
        ({"response_format": {}, "grammar": "root ::= [a]"}, "grammar"),
    ],
)  # fmt: skip
def test_a_bad_form_is_named_as_the_caller_wrote_it(
    llm: Llama, asked: dict[str, Any], param: str
) -> None:
    """Field and message speak of the argument that was given, and of no other."""
    with pytest.raises(InvalidRequest) as caught:
        llm.chat(user("Hi"), **asked)
    assert caught.value.param == param
    assert ("json_schema" in str(caught.value)) == ("json_schema" in param)


def test_an_answer_follows_its_grammar(llm: Llama) -> None:
    """The answer is one of the words, without a space around it."""
    grammar = 'root ::= "yes" | "no"'
    for prompt in (
        llm.chat_prompt(user("Is it raining?"), grammar=grammar),
        llm.text_prompt("Is it raining? Answer: ", grammar=grammar),
    ):
        assert answer(llm, prompt, temperature=1.5, seed=5)[0] in {"yes", "no"}


def test_with_tools_and_schema_the_answer_is_either(llm: Llama) -> None:
    """It is a call, or content that satisfies the schema; over some seeds never anything else."""
    prompt = llm.chat_prompt(user("Who are you?"), tools=[SUM], json_schema=SCHEMA)
    for seed in range(6):
        text, reason = answer(llm, prompt, max_tokens=300, temperature=1.5, seed=seed)
        is_cut = reason == "length"
        if text.lstrip().startswith("<tool_call>"):
            calls = calls_in(text, is_cut=is_cut)
            for call in calls:
                assert call["name"] == "add"
                jsonschema.validate(call["arguments"], PARAMETERS["add"])
            n_whole = len(parsed(prompt, text, is_cut=is_cut))
            assert parsed(prompt, text, is_cut=is_cut) == calls[:n_whole]
            assert n_whole >= len(calls) - is_cut
        else:
            assert not is_cut
            jsonschema.validate(json.loads(text), SCHEMA)


@pytest.mark.parametrize("space", ["", " ", "\n"])
@pytest.mark.parametrize("n_calls", [1, 2, 3])
def test_every_call_of_a_block_is_a_call(llm: Llama, n_calls: int, space: str) -> None:
    """The grammar allows several calls with commas between them, and a client gets all of them."""
    calls = [{"name": "add", "arguments": {"a": i, "b": -0.5 * i}} for i in range(n_calls)]
    body = f"{space},{space}".join(map(json.dumps, calls))
    text = f"<tool_call>{space}{body}{space}</tool_call>"
    assert calls_in(text) == calls
    for options in ({}, {"json_schema": SCHEMA}, {"tool_choice": "required"}):
        prompt = llm.chat_prompt(user("Who are you?"), tools=[SUM], **options)
        assert parsed(prompt, text) == calls


def test_the_constraint_begins_after_the_thoughts(thinker: Llama) -> None:
    """Thoughts are free, bounded by their budget; what follows them has the form."""
    prompt = thinker.chat_prompt(user("Who are you?"), json_schema=SCHEMA, reasoning_budget=8)
    for seed in range(3):
        text, reason = answer(thinker, prompt, max_tokens=300, temperature=0.8, seed=seed)
        thoughts, _, content = text.partition("</think>")
        assert reason == "stop"
        assert 0 < len(thinker.tokenize(thoughts)) <= 12
        jsonschema.validate(json.loads(content), SCHEMA)


def test_a_required_call_follows_the_thoughts(thinker: Llama) -> None:
    """Nothing but white space stands between the thoughts and the call."""
    prompt = thinker.chat_prompt(
        user("Hi"), tools=[SUM], tool_choice="required", reasoning_budget=8,
        parallel_tool_calls=False,
    )  # fmt: skip
    text, reason = answer(thinker, prompt, max_tokens=300)
    assert reason == "stop"
    (call,) = calls_in(text.partition("</think>")[2])
    assert call["name"] == "add"


@pytest.mark.parametrize("options", [{"enable_thinking": False}, {"reasoning_effort": "none"}])
def test_thinking_can_be_turned_off(thinker: Llama, options: dict[str, Any]) -> None:
    """Where the template opens the block in any case, it is closed at once."""
    prompt = thinker.chat_prompt(user("Hi"), **options)
    assert answer(thinker, prompt, max_tokens=30)[0].lstrip().startswith("</think>")


def test_a_budgets_message_ends_the_thoughts(model_path: Path) -> None:
    """The server's flags hold where a request says nothing."""
    with Llama(
        str(model_path),
        ctx_size=512,
        parallel=1,
        chat_template=THINKING,
        reasoning_budget=4,
        reasoning_budget_message=" Enough.",
    ) as llm:
        text, _ = answer(llm, llm.chat_prompt(user("Why?")), max_tokens=40)
    assert " Enough.</think>" in text


def test_a_continued_answer_keeps_its_form(llm: Llama) -> None:
    """What is continued counts as a part of the content; what cannot be one is refused."""
    began = [*user("Who are you?"), {"role": "assistant", "content": '{"name": "Bo'}]
    prompt = llm.chat_prompt(began, json_schema=SCHEMA)
    text, _ = answer(llm, prompt, max_tokens=200)
    jsonschema.validate(json.loads('{"name": "Bo' + text), SCHEMA)
    for content in ("Sure, here", "<|im_end|>"):
        wrong = [*user("Hi"), {"role": "assistant", "content": content}]
        with pytest.raises(InvalidRequest):
            answer(llm, llm.chat_prompt(wrong, json_schema=SCHEMA))


def test_free_tools_leave_an_answer_free(llm: Llama) -> None:
    """With tool_choice auto the grammar sleeps until a call begins."""
    prompt = llm.chat_prompt(user("Hello"), tools=[WEATHER, SUM])
    assert prompt.constraint is not None
    assert prompt.constraint.lazy
    text, _ = answer(llm, prompt, max_tokens=40)
    assert text
    # The model goes on after the beginning of a call, and the grammar holds from there on.
    began = [*user("Hi"), {"role": "assistant", "content": "<tool_call>\n"}]
    assert llm.chat_prompt(began, tools=[WEATHER, SUM]).constraint is not None


DEAD_ENDS = ['"a" "\\x00" "b"', '"a" [^\\x00-\\U0010FFFF]', '"a" <[99999999]>']


@pytest.mark.parametrize("dead_end", DEAD_ENDS)
@pytest.mark.parametrize(
    "params",
    [
        {"temperature": 0.0},
        {"temperature": 0.8, "top_k": 40},
        {"temperature": 0.8, "mirostat": 1},
        {"temperature": 0.8, "mirostat": 2},
        {"temperature": 0.8, "typical_p": 0.5},
        {"temperature": 0.8, "xtc_probability": 0.5},
        {"temperature": 0.8, "top_n_sigma": 1.0},
        {"temperature": 0.8, "repeat_penalty": 1.1},
    ],
)
def test_an_answer_ends_where_its_grammar_has_no_way_on(
    llm: Llama, dead_end: str, params: dict[str, Any]
) -> None:
    """A grammar that no token fits ends its own answer, and no other one beside it."""
    free = llm.start(llm.text_prompt("Once upon"), llm.defaults.with_options(max_tokens=12))
    prompt = llm.text_prompt("The quick", grammar=f"root ::= {dead_end}")
    assert answer(llm, prompt, max_tokens=6, **params) == ("a", "stop")
    assert free.result().usage.completion_tokens > 0


def test_a_grammar_that_doubles_its_stacks_fails_alone(llm: Llama) -> None:
    """Each x is answered by a y or a z later: unbounded, thirty of them would take all memory."""
    grammar = 'root ::= "x" root "y" | "x" root "z" | "x"'
    (x,) = llm.tokenize("x")
    free = llm.start(llm.text_prompt("Once upon"), llm.defaults.with_options(max_tokens=12))
    prompt = llm.text_prompt("xxxxxxxx", grammar=grammar)
    with pytest.raises(InvalidResponse, match="too ambiguous"):
        answer(llm, prompt, max_tokens=60, logit_bias={x: 100.0})
    assert free.result().usage.completion_tokens > 0


def test_a_trigger_within_a_token_wakes_no_grammar_that_refuses_the_rest(llm: Llama) -> None:
    """The answer goes on, free: a model's slip is no error, for it or for others."""
    constraint = Constraint(
        grammar='root ::= "e" "zzz"', lazy=True, triggers=({"type": 1, "value": "e"},)
    )
    prompt = llm.text_prompt("The quick brown fox")
    text, reason = answer(llm, Prompt(prompt.tokens, constraint=constraint), max_tokens=30)
    assert "e" in text
    assert "ezzz" not in text
    assert reason in {"stop", "length"}
