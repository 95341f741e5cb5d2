"""The public OpenAI client against a real server: tools, forms, log probabilities, choices."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import openai
import pydantic
import pytest

from tests.support.folding import same_answer
from tests.support.serving import ROOT

if TYPE_CHECKING:
    import httpx

    from tests.support.serving import Server

SYSTEM = {"role": "system", "content": "You are a helpful assistant."}
FRANCE: Any = [SYSTEM, {"role": "user", "content": "What is the capital of France?"}]
WEATHER: Any = [SYSTEM, {"role": "user", "content": "What is the weather in Paris?"}]
ARGUMENTS = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS: Any = [
    {"type": "function", "function": {"name": name, "parameters": ARGUMENTS}}
    for name in ("get_weather", "get_time")
]
NAMED: Any = {"type": "function", "function": {"name": "get_time"}}


class Place(pydantic.BaseModel):
    """What an answer is to be."""

    city: str
    is_capital: bool


@pytest.mark.parametrize("choice", ["required", NAMED], ids=["required", "named"])
def test_client_gets_a_call(public: openai.OpenAI, choice: Any) -> None:
    """A required call is made, with arguments that fit, by the name that was asked for."""
    answer = public.chat.completions.create(
        model="any", messages=WEATHER, tools=TOOLS, tool_choice=choice, max_tokens=100
    )
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls
    call: Any = message.tool_calls[0]
    assert call.id
    assert call.function.name in {"get_weather", "get_time"}
    assert choice == "required" or call.function.name == "get_time"
    assert isinstance(json.loads(call.function.arguments)["city"], str)


def test_client_accumulates_a_streamed_call(public: openai.OpenAI) -> None:
    """The client's own accumulator makes of a stream the call that comes whole."""
    options: Any = {
        "model": "any",
        "messages": WEATHER,
        "tools": TOOLS,
        "tool_choice": "required",
        "max_tokens": 100,
    }
    whole = public.chat.completions.create(**options).choices[0].message
    with public.chat.completions.stream(**options) as stream:
        streamed = stream.get_final_completion().choices[0].message
    assert whole.tool_calls
    assert streamed.tool_calls
    calls: Any = [whole.tool_calls, streamed.tool_calls]
    first, second = ([call.function.name, call.function.arguments] for (call, *_) in calls)
    assert first == second


def test_client_sends_back_calls_and_results(public: openai.OpenAI) -> None:
    """A conversation goes on after calls, several in one message, and their results."""
    calls = [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": "get_weather", "arguments": json.dumps({"city": city})},
        }
        for number, city in enumerate(("Paris", "Rome"))
    ]
    messages: Any = [
        *WEATHER,
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_0", "content": "sunny"},
        {"role": "tool", "tool_call_id": "call_1", "content": "rainy"},
    ]
    answer = public.chat.completions.create(
        model="any", messages=messages, tools=TOOLS, parallel_tool_calls=True, max_tokens=30
    )
    assert answer.usage is not None
    short = public.chat.completions.create(
        model="any", messages=messages[:2], tools=TOOLS, max_tokens=1
    )
    assert short.usage is not None
    assert answer.usage.prompt_tokens > short.usage.prompt_tokens
    assert answer.choices[0].finish_reason in {"stop", "length", "tool_calls"}


def test_client_parses_an_answer_into_a_model(public: openai.OpenAI) -> None:
    """A Pydantic class goes in, an instance of it comes out."""
    answer = public.chat.completions.parse(
        model="any", messages=FRANCE, response_format=Place, max_tokens=150
    )
    place = answer.choices[0].message.parsed
    assert isinstance(place, Place)


def test_client_gets_any_object(public: openai.OpenAI) -> None:
    """JSON mode gives an object, whatever it holds."""
    answer = public.chat.completions.create(
        model="any",
        messages=[{"role": "user", "content": "Name a city and its country as JSON."}],
        response_format={"type": "json_object"},
        max_tokens=200,
    )
    choice = answer.choices[0]
    if choice.finish_reason == "stop":
        assert isinstance(json.loads(choice.message.content or ""), dict)
    else:
        assert (choice.message.content or "").lstrip().startswith("{")


def test_client_gets_log_probabilities(public: openai.OpenAI) -> None:
    """Each token of a greedy answer is the likeliest at its place, and they join to the text."""
    answer = public.chat.completions.create(
        model="any", messages=FRANCE, logprobs=True, top_logprobs=3
    )
    choice = answer.choices[0]
    assert choice.logprobs is not None
    assert choice.logprobs.content
    data = b"".join(bytes(item.bytes or []) for item in choice.logprobs.content)
    assert data.decode() == choice.message.content
    for item in choice.logprobs.content:
        assert len(item.top_logprobs) == 3
        assert item.top_logprobs[0].token == item.token
        assert item.logprob == item.top_logprobs[0].logprob <= 0
        assert item.top_logprobs == sorted(item.top_logprobs, key=lambda top: -top.logprob)


def test_client_gets_several_answers(public: openai.OpenAI) -> None:
    """Three warm answers to one prompt differ, and come again with the same seed."""
    # Few and short: in another batch sums are added in another order, and where many tokens are
    # about as likely that can decide between two of them.
    first, second = (
        public.chat.completions.create(
            model="any",
            messages=FRANCE,
            n=3,
            seed=7,
            temperature=1.5,
            max_tokens=3,
            extra_body={"top_k": 4},
        )
        for _ in range(2)
    )
    texts = [choice.message.content for choice in first.choices]
    assert len(set(texts)) > 1
    assert texts == [choice.message.content for choice in second.choices]
    assert first.usage is not None
    assert first.usage.completion_tokens <= 9


def test_client_scores_a_text(public: openai.OpenAI) -> None:
    """Echo with log probabilities and no new token scores a prompt: sense beats nonsense."""

    def score(text: str) -> float:
        answer = public.completions.create(
            model="any", prompt=text, echo=True, logprobs=1, max_tokens=0
        )
        choice = answer.choices[0]
        assert choice.text == text
        assert choice.logprobs is not None
        assert choice.logprobs.tokens is not None
        assert "".join(choice.logprobs.tokens) == text
        assert choice.logprobs.token_logprobs is not None
        first: float | None = choice.logprobs.token_logprobs[0]
        assert first is None
        assert choice.logprobs.text_offset == [
            len("".join(choice.logprobs.tokens[:i])) for i in range(len(choice.logprobs.tokens))
        ]
        return sum(choice.logprobs.token_logprobs[1:])

    assert score("The capital of France is Paris.") > score("The capital of France is walrus.")


def test_client_completes_several_prompts(public: openai.OpenAI) -> None:
    """Each prompt is continued as it would be alone."""
    prompts = ["1, 2, 3, 4, 5,", "a, b, c, d, e,"]
    together = public.completions.create(model="any", prompt=prompts, max_tokens=8, echo=True)
    alone = [
        public.completions.create(model="any", prompt=prompt, max_tokens=8, echo=True)
        for prompt in prompts
    ]
    assert [choice.text for choice in together.choices] == [
        answer.choices[0].text for answer in alone
    ]


def test_client_gets_the_best(public: openai.OpenAI) -> None:
    """The best of several is at least as likely as each of them."""
    options: Any = {"model": "any", "prompt": "Once upon", "seed": 3, "temperature": 1.2}
    options |= {"max_tokens": 6, "logprobs": 0}
    best = public.completions.create(**options, n=1, best_of=4)
    every = public.completions.create(**options, n=4)

    def mean(choice: Any) -> float:
        values = choice.logprobs.token_logprobs
        return float(sum(values) / len(values))

    assert mean(best.choices[0]) == pytest.approx(max(map(mean, every.choices)), abs=0.05)


def test_biases_ban(public: openai.OpenAI) -> None:
    """A text with a bias of -100 does not come, though it was the likeliest."""
    options: Any = {"model": "any", "prompt": "1, 2, 3, 4, 5,", "max_tokens": 1}
    text = public.completions.create(**options).choices[0].text
    banned = public.completions.create(**options, extra_body={"logit_bias": {text: -100}})
    assert text
    assert banned.choices[0].text != text


def test_suffix_is_refused_by_a_model_that_cannot_fill_in(public: openai.OpenAI) -> None:
    """The default model has no tokens for it, and says so."""
    with pytest.raises(openai.BadRequestError) as caught:
        public.completions.create(model="any", prompt="a", suffix="b")
    assert caught.value.param == "suffix"


STREAMS: dict[str, dict[str, Any]] = {
    "text": {},
    "n": {"n": 2, "temperature": 1, "seed": 3},
    "logprobs": {"logprobs": True, "top_logprobs": 2},
    "required": {"tools": TOOLS, "tool_choice": "required"},
    "auto": {"tools": TOOLS},
    "schema": {"json_schema": ARGUMENTS},
    "object": {"response_format": {"type": "json_object"}},
    "stop": {"stop": ["is"]},
    "cut": {"max_tokens": 3, "tools": TOOLS, "tool_choice": "required"},
    "continued": {"messages": [*FRANCE, {"role": "assistant", "content": "The capital of"}]},
}


@pytest.mark.parametrize("name", STREAMS)
def test_streamed_chat_is_the_whole_one(client: httpx.Client, name: str) -> None:
    """What is streamed adds up to what comes whole, field by field."""
    body = {"messages": FRANCE, "max_tokens": 40, **STREAMS[name]}
    compare(client, "/v1/chat/completions", body)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"logprobs": 2},
        {"echo": True, "logprobs": 1},
        {"prompt": ["1, 2, 3,", "Hello"], "n": 2, "seed": 5, "temperature": 0.7},
        {"grammar": 'root ::= " yes" | " no"'},
    ],
    ids=str,
)
def test_streamed_text_is_the_whole_one(client: httpx.Client, options: dict[str, Any]) -> None:
    """The same for text completions."""
    body = {"prompt": "Is the naïve 線 safe?", "max_tokens": 12, **options}
    compare(client, "/v1/completions", body)


def compare(client: httpx.Client, url: str, body: dict[str, Any]) -> None:
    """Ask twice, whole and as a stream."""
    whole = client.post(url, json=body)
    assert whole.status_code == 200, whole.text
    options = {"stream": True, "stream_options": {"include_usage": True}}
    stream = client.post(url, json=body | options)
    lines = [line for line in stream.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]"
    same_answer(whole.json(), [json.loads(line[6:]) for line in lines[:-1]])


def test_example_of_tool_calls_runs(server: Server) -> None:
    """The example holds its conversation: a call, its result, and an answer."""
    done = subprocess.run(
        [sys.executable, "examples/tool_call.py", server.url],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    roles = [message["role"] for message in messages]
    assert roles[:3] == ["system", "user", "assistant"]
    assert roles[3:-1] == ["tool"] * len(messages[2]["tool_calls"])
    assert messages[3]["tool_call_id"] == messages[2]["tool_calls"][0]["id"]
    assert roles[-1] == "assistant"
    assert messages[-1]["content"]
