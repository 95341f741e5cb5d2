"""Bodies of Ollama's requests: what is made of them, and what is refused."""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema
import pytest

from tests.support.fake_card import FakeCard
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import ClientOf
from wsgi.ollama.parse import OPTION_FIELDS
from wsgi.ollama.parse_chat import CHAT_FIELDS
from wsgi.ollama.parse_generate import GENERATE_FIELDS

GENERATE, CHAT = "/api/generate", "/api/chat/ollama"
HI = {"role": "user", "content": "Hi"}


def ask(client: httpx.Client, path: str, **body: Any) -> httpx.Response:
    return client.post(path, json={"model": "fake", "stream": False, **body})


def refusal(client: httpx.Client, path: str, **body: Any) -> str:
    """Send what must be refused; returns why it was."""
    response = ask(client, path, **body)
    assert response.status_code == 400, response.text
    assert response.json().keys() == {"error"}
    message: str = response.json()["error"]
    return message


def prompt(llm: FakeLlama) -> Any:
    return llm.generations[-1].prompt


# ---- options ----------------------------------------------------------------------------------


def test_options_reach_the_sampler(client: httpx.Client, llm: FakeLlama) -> None:
    """Every option has its parameter; numbers may be floats that are whole, null is absence."""
    options = {
        "num_predict": 7.0,
        "temperature": 0.5,
        "top_k": 40.0,
        "top_p": 0.9,
        "min_p": 0.1,
        "typical_p": 0.7,
        "repeat_last_n": 33,
        "repeat_penalty": 1.2,
        "presence_penalty": 1.5,
        "frequency_penalty": 1,
        "mirostat": 1,
        "mirostat_tau": 0.8,
        "mirostat_eta": 0.6,
        "seed": 42,
        "stop": ["\n", "user:"],
    }
    others = {"num_ctx": 4096, "num_keep": 5}
    assert options.keys() | others.keys() == OPTION_FIELDS.schema.names
    body = {"prompt": "Hi", "options": {**options, **others, "num_gpu": None}}
    assert ask(client, GENERATE, **body).status_code == 200
    made = llm.generations[-1].params.as_dict()
    wanted = {**options, "max_tokens": options.pop("num_predict")}
    wanted.pop("num_predict")
    assert {name: made[name] for name in wanted} == wanted


def test_newlines_are_penalised_as_other_tokens_are(client: httpx.Client) -> None:
    """Who asks for that, as the example of Ollama's documentation does, gets it."""
    body = {"model": "fake", "prompt": "Hi", "stream": False}
    asked = {**body, "options": {"penalize_newline": True, "repeat_penalty": 1.2}}
    assert client.post(GENERATE, json=asked).status_code == 200
    other = {**body, "options": {"penalize_newline": False}}
    assert "options.penalize_newline" in refusal(client, GENERATE, **other)


def test_options_default_to_the_contract(client: httpx.Client, llm: FakeLlama) -> None:
    """Without options an answer is greedy and has 200 tokens at most."""
    ask(client, CHAT, messages=[HI])
    made = llm.generations[-1].params
    assert made == llm.defaults
    assert (made.max_tokens, made.sampling.temperature, made.sampling.repeat_penalty) == (200, 0, 1)


@pytest.mark.parametrize("wanted", [-1, -2])
def test_negative_limits_mean_the_context(
    client: httpx.Client, llm: FakeLlama, wanted: int
) -> None:
    """Both of Ollama's words for no limit are the library's."""
    ask(client, GENERATE, prompt="Hi", options={"num_predict": wanted})
    assert llm.generations[-1].params.max_tokens == -1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"num_predict": 0}, "options.num_predict must be at least 1, or -1, not 0"),
        ({"num_predict": -3}, "options.num_predict must be at least -2, not -3"),
        ({"num_ctx": 4097}, "options.num_ctx must be at most 4096"),
        ({"temperature": "hot"}, "options.temperature must be a number, not a string"),
        ({"top_k": -2}, "options.top_k must be at least -1, not -2"),
        ({"stop": [""]}, "options.stop"),
        ({"repeat_penalty": 0}, "options.repeat_penalty must be above 0"),
    ],
)
@pytest.mark.parametrize("path", [GENERATE, CHAT])
def test_wrong_options_are_named_by_their_path(
    client: httpx.Client, path: str, options: Any, words: str
) -> None:
    """A value that cannot be honoured is a 400 which says where it stands."""
    assert words in refusal(client, path, prompt="Hi", messages=[HI], options=options)


@pytest.mark.parametrize("refused", OPTION_FIELDS.refusals.values(), ids=lambda one: one.name)
def test_options_that_cannot_be_honoured_are_refused(client: httpx.Client, refused: Any) -> None:
    """What asks for another answer than can be given is named, with what to do instead."""
    options = {refused.name: 2}
    message = refusal(client, GENERATE, prompt="Hi", options=options)
    assert message == f"options.{refused.name} is not supported; {refused.remedy}"


# ---- texts ------------------------------------------------------------------------------------


def test_text_is_a_chat_of_one_message(client: httpx.Client, llm: FakeLlama) -> None:
    """The chat template is applied to the prompt, with the system prompt before it."""
    ask(client, GENERATE, prompt="Hi")
    assert prompt(llm).source == [HI]
    ask(client, GENERATE, prompt="Hi", system="Be brief.", template="", suffix="", images=[])
    assert prompt(llm).source == [{"role": "system", "content": "Be brief."}, HI]


def test_raw_text_stays_as_it_is(client: httpx.Client, llm: FakeLlama) -> None:
    """No template is applied, and no context comes back."""
    answer = ask(client, GENERATE, prompt="<s>Hi", raw=True)
    assert prompt(llm).source == "<s>Hi"
    assert "context" not in answer.json()


def test_suffix_asks_for_the_middle(client: httpx.Client, llm: FakeLlama) -> None:
    """The model fills in between prompt and suffix; the prompt may be empty."""
    ask(client, GENERATE, prompt="def f(", suffix="return 1")
    assert prompt(llm).source == ("def f(", "return 1")
    ask(client, GENERATE, suffix="return 1")
    assert prompt(llm).source == ("", "return 1")


def test_template_makes_the_text(client: httpx.Client, llm: FakeLlama) -> None:
    """A template of the request is in place of the model's, and follows the context."""
    template = "[{{ .System }}|{{ .Prompt }}]{{ .Response }}<end>"
    ask(client, GENERATE, prompt="Hi", system="S", template=template)
    assert prompt(llm).source == "[S|Hi]"
    ask(client, GENERATE, prompt="Hi", template=template, context=[1, 2])
    assert prompt(llm).tokens == (1, 2, *map(ord, "[|Hi]"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"raw": True, "system": "S"}, "raw and system exclude each other"),
        ({"raw": True, "template": "T"}, "raw and template exclude each other"),
        ({"raw": True, "context": [1]}, "raw and context exclude each other"),
        ({"raw": True, "think": True}, "raw and think exclude each other"),
        ({"suffix": "x", "system": "S"}, "suffix and system exclude each other"),
        ({"suffix": "x", "context": [1]}, "suffix and context exclude each other"),
        ({"context": [-1]}, "context[0] must be at least 0"),
        ({"context": [1]}, "context is not supported with this model's chat template"),
        ({"template": "{{ range .Messages }}"}, "template has 'range .Messages'"),
        ({"images": "aGk="}, "images must be a list, not a string"),
        ({"images": ["aGk="], "context": [1]}, "images and context exclude each other"),
        ({"width": 512}, "width is not supported; this server makes no pictures"),
        ({"format": "yaml"}, "format must be '' or 'json', not 'yaml'"),
        ({"think": "much"}, "think must be"),
        ({"keep_alive": "soon"}, "keep_alive does not satisfy pattern"),
        ({"keep_alive": {}}, "keep_alive must be a string or a number, not an object"),
        ({"stream": "yes"}, "stream must be true or false, not a string"),
        ({"top_logprobs": 3}, "top_logprobs needs logprobs"),
    ],
)
def test_text_that_cannot_be_honoured_is_refused(
    client: httpx.Client, body: dict[str, Any], words: str
) -> None:
    """Each refusal names the field and what to do."""
    assert words in refusal(client, GENERATE, prompt="Hi", **body)


@pytest.mark.parametrize("given", [0, -1, 3.5, "0", "5m", "-1m", "1h30m", "1.5s", "250ms"])
def test_keep_alive_is_taken(client: httpx.Client, given: Any) -> None:
    """Every duration that Ollama reads is one here."""
    assert ask(client, GENERATE, prompt="Hi", keep_alive=given).status_code == 200


@pytest.mark.parametrize("path", [GENERATE, CHAT])
@pytest.mark.parametrize("think", [True, "low"])
def test_model_that_cannot_think_is_not_asked_to(connect: ClientOf, path: str, think: Any) -> None:
    """A template without a place for thoughts refuses them; to turn them off is no request."""
    llm = FakeLlama()
    llm.card = FakeCard(can_think=False)
    client = connect(llm)
    body = {"prompt": "Hi", "messages": [HI]}
    assert "think is not supported by this model" in refusal(client, path, **body, think=think)
    assert ask(client, path, **body, think=False).status_code == 200


# ---- chats ------------------------------------------------------------------------------------


def test_history_is_handed_on_whole(client: httpx.Client, llm: FakeLlama) -> None:
    """Thoughts, calls and results of earlier turns reach the template by its own names."""
    called = {"function": {"index": 0, "name": "weather", "arguments": {"city": "Rome"}}}
    ask(
        client,
        CHAT,
        messages=[
            {"role": "system", "content": "S", "images": None},
            {"content": "Hi"},
            {"role": "assistant", "thinking": "hm", "tool_calls": [called], "content": None},
            {"role": "tool", "content": "sunny", "tool_name": "weather"},
        ],
    )
    function = {"name": "weather", "arguments": '{"city":"Rome"}'}
    assert prompt(llm).source == [
        {"role": "system", "content": "S"},
        HI,
        {
            "role": "assistant",
            "content": "",
            "reasoning_content": "hm",
            "tool_calls": [{"id": "", "type": "function", "function": function}],
        },
        {"role": "tool", "content": "sunny", "name": "weather"},
    ]


def test_tools_are_handed_on_whole(client: httpx.Client, llm: FakeLlama) -> None:
    """Nested schemas survive, and a tool without a type is a function."""
    parameters = {
        "type": "object",
        "properties": {"places": {"type": "array", "items": {"type": ["string", "null"]}}},
    }
    function = {"name": "weather", "description": "Tells it.", "parameters": parameters}
    ask(client, CHAT, messages=[HI], tools=[{"function": function}])
    assert prompt(llm).options["tools"] == [{"type": "function", "function": function}]
    ask(client, CHAT, messages=[HI], tools=[])
    assert "tools" not in prompt(llm).options


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "messages is missing"),
        ({"messages": "Hi"}, "messages must be a list, not a string"),
        ({"messages": ["Hi"]}, "messages[0] must be an object, not a string"),
        ({"messages": [{"role": "robot"}]}, "messages[0].role must be"),
        ({"messages": [{"content": [1]}]}, "messages[0].content must be a string or null"),
        ({"messages": [HI, {**HI, "images": [1]}]}, "messages[1].images[0] must be a string"),
        ({"messages": [HI], "tools": [{"type": "function"}]}, "tools[0]"),
    ],
)
def test_chat_that_cannot_be_honoured_is_refused(
    client: httpx.Client, body: dict[str, Any], words: str
) -> None:
    """Each refusal names the field and what to do."""
    assert words in refusal(client, CHAT, **body)


@pytest.mark.parametrize("path", [GENERATE, CHAT, "/api/show"])
@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'"x"', b"\xff"])
def test_body_that_is_no_object_is_refused(client: httpx.Client, path: str, data: bytes) -> None:
    """It is a 400 in Ollama's shape, not a failure of the server."""
    response = client.post(path, content=data)
    assert response.status_code == 400
    assert response.json().keys() == {"error"}


@pytest.mark.parametrize("fields", [GENERATE_FIELDS, CHAT_FIELDS, OPTION_FIELDS])
def test_schemas_are_valid(fields: Any) -> None:
    """The files are JSON Schema 2020-12, and no field is both honoured and refused."""
    jsonschema.Draft202012Validator.check_schema(dict(fields.schema.document))
    assert not fields.schema.names & fields.refusals.keys()
