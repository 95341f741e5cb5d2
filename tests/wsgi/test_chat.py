"""``POST /v1/chat/completions``: what reaches the model, and what comes back."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from pyllama.errors import InvalidRequest
from pyllama.params import GenerationParams
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import ClientOf
from tests.wsgi.sse import events

MESSAGES = [{"role": "user", "content": "Hi"}]
URL = "/v1/chat/completions"


def post(client: httpx.Client, **options: Any) -> httpx.Response:
    return client.post(URL, json={"messages": MESSAGES, **options})


def params(llm: FakeLlama) -> GenerationParams:
    return llm.generations[-1].params


@pytest.mark.parametrize("url", [URL, "/chat/completions"])
def test_answer_has_openais_shape(client: httpx.Client, url: str) -> None:
    """An answer is one chat.completion object, with llama-server's timings beside the usage."""
    response = client.post(url, json={"messages": MESSAGES})
    answer = response.json()
    assert response.status_code == 200
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "fake.gguf"
    assert answer["system_fingerprint"].startswith("b")
    assert answer["id"].startswith("chatcmpl-")
    assert len(answer["id"]) == len("chatcmpl-") + 32
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello"},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert answer["usage"] == {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 1},
    }
    assert answer["timings"]["predicted_n"] == 2


def test_body_with_hyphens_and_chinese_works(client: httpx.Client, llm: FakeLlama) -> None:
    """A body of the kind that local front ends send works as it stands."""
    body = {
        "model": "Qwen3-Coder-30B-A3B-Instruct-UD-IQ2_M.gguf",
        "messages": [
            {"role": "system", "content": "你是一个有帮助的 AI 助手。"},
            {"role": "user", "content": "帮我生成一个随机数，直接返回我数字"},
        ],
        "max_tokens": 512,
        "temperature": 0,
        "top-p": 0.9,
        "repeat-penalty": 1.1,
        "stream": False,
    }
    assert client.post(URL, json=body).status_code == 200
    assert params(llm).max_tokens == 512
    assert params(llm).sampling.top_p == 0.9
    assert params(llm).sampling.repeat_penalty == 1.1
    assert llm.generations[-1].prompt.source == body["messages"]


def test_stream_has_openais_chunks(client: httpx.Client) -> None:
    """A stream is the role, the text, the reason with the timings, and [DONE]."""
    response = post(client, stream=True)
    *chunks, done = events(response.text)
    assert response.headers["Content-Type"] == "text/event-stream"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert done == "[DONE]"
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": None},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * 3 + ["stop"]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert ["timings" in chunk for chunk in chunks] == [False] * 3 + [True]
    assert not any("usage" in chunk for chunk in chunks)


def test_stream_ends_with_usage_if_asked(client: httpx.Client) -> None:
    """The usage comes in a chunk without choices, which then has the timings."""
    *chunks, last, _ = events(
        post(client, stream=True, stream_options={"include_usage": True}).text
    )
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 3
    assert "timings" in last
    assert not any("timings" in chunk for chunk in chunks)


def test_stream_has_no_empty_text(connect: ClientOf) -> None:
    """Deltas without text are not sent."""
    *chunks, _ = events(post(connect(FakeLlama(["", "a", ""])), stream=True).text)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas == [{"role": "assistant", "content": None}, {"content": "a"}, {}]


def test_every_option_reaches_the_engine(client: httpx.Client, llm: FakeLlama) -> None:
    """Every parameter of a generation can be set by its name, hyphenated or not."""
    values = {
        name: value + 1 if isinstance(value, int) and not isinstance(value, bool) else value
        for name, value in GenerationParams().as_dict().items()
    }
    values |= {"temperature": 0.5, "top_p": 0.5, "min_p": 0.25, "ignore_eos": True}
    values |= {"cache_prompt": False, "stop": ["a", "b"], "typical_p": 0.75}
    values |= {"samplers": ["top_k"], "logit_bias": [[3, 1.5], [4, False]]}
    values |= {"dry_sequence_breakers": ["."], "adaptive_target": 0.5}
    values |= {"post_sampling_probs": True}
    body = {name.replace("_", "-"): value for name, value in values.items()}
    assert post(client, **body).status_code == 200
    assert params(llm).as_dict() == values


def test_absent_fields_are_the_servers_defaults(connect: ClientOf) -> None:
    """What a request leaves out, or sets to null, is what the server was started with."""
    llm = FakeLlama()
    llm.defaults = GenerationParams(max_tokens=7)
    post(connect(llm), max_tokens=None, stop=None, stream_options=None, temperature=None)
    assert params(llm) == llm.defaults


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "n_predict", "max-tokens"])
def test_token_limit_has_three_names(client: httpx.Client, llm: FakeLlama, name: str) -> None:
    """The limit may be given by OpenAI's old and new name and by llama-server's."""
    post(client, **{name: 5})
    assert params(llm).max_tokens == 5


def test_token_limits_that_differ_are_refused(client: httpx.Client) -> None:
    """Two names for one limit must agree."""
    assert post(client, max_tokens=5, max_completion_tokens=5).status_code == 200
    response = post(client, max_tokens=5, max_completion_tokens=6)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "max_tokens"


def test_one_stop_string_is_a_list_of_one(client: httpx.Client, llm: FakeLlama) -> None:
    """``stop`` may be a string."""
    post(client, stop="END")
    assert params(llm).stop == ("END",)


def test_whole_floats_are_integers(client: httpx.Client, llm: FakeLlama) -> None:
    """JSON has no integers: 10.0 is one."""
    assert post(client, max_tokens=10.0, top_k=40.0).status_code == 200
    assert (params(llm).max_tokens, params(llm).sampling.top_k) == (10, 40)


def test_template_options_reach_the_template(client: httpx.Client, llm: FakeLlama) -> None:
    """``chat_template_kwargs`` and ``add_generation_prompt`` are handed on."""
    post(client, chat_template_kwargs={"enable_thinking": False}, add_generation_prompt=False)
    prompt = llm.generations[-1].prompt
    assert prompt.options == {
        "template_kwargs": {"enable_thinking": False},
        "add_generation_prompt": False,
    }


@pytest.mark.parametrize(
    ("thinking", "told"),
    [
        ({"type": "disabled"}, {"enable_thinking": False}),
        ({"type": "adaptive", "budget_tokens": None}, {"enable_thinking": True}),
        (
            {"type": "enabled", "budget_tokens": 7},
            {"enable_thinking": True, "reasoning_budget": 7},
        ),
    ],
)
def test_thinking_may_be_said_as_in_messages(
    client: httpx.Client, llm: FakeLlama, thinking: dict[str, Any], told: dict[str, Any]
) -> None:
    """Clients of models that think send Anthropic's object in chats as well: it counts."""
    assert post(client, thinking=thinking).status_code == 200
    assert llm.generations[-1].prompt.options == told
    refused = post(client, thinking=thinking, enable_thinking=not told["enable_thinking"])
    assert refused.json()["error"]["param"] == "thinking.type"


def test_fault_in_template_options_is_named_as_the_client_wrote_it(connect: ClientOf) -> None:
    """The library has another name for the field."""

    class Strict(FakeLlama):
        def chat_prompt(self, messages: Any, **_options: Any) -> Any:
            raise InvalidRequest("template_kwargs has too much", param="template_kwargs")

    error = post(connect(Strict()), chat_template_kwargs={"a": 1}).json()["error"]
    assert error["param"] == "chat_template_kwargs"
    assert error["message"] == "chat_template_kwargs has too much"


def test_text_parts_and_history_reach_the_template(client: httpx.Client, llm: FakeLlama) -> None:
    """All roles, lists of text parts, calls and their results pass through."""
    function = {"name": "add", "arguments": '{"a": 1}'}
    messages = [
        {"role": "developer", "content": "Be short."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "1", "content": "3"},
    ]
    assert client.post(URL, json={"messages": messages}).status_code == 200
    assert llm.generations[-1].prompt.source == messages


def test_engine_id_is_the_answers_id(client: httpx.Client, llm: FakeLlama) -> None:
    """The engine knows a request by a unique id, even if clients repeat theirs."""
    headers = {"X-Request-Id": "same"}
    ids = [
        client.post(URL, json={"messages": MESSAGES}, headers=headers).json()["id"]
        for _ in range(2)
    ]
    assert ids == [generation.request_id for generation in llm.generations]
    assert ids[0] != ids[1]


def test_finish_reason_is_the_engines(client: httpx.Client) -> None:
    """An answer that reached its limit says so."""
    assert post(client, max_tokens=2).json()["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("stream", [True, False])
def test_slot_is_freed_after_an_answer(
    client: httpx.Client, llm: FakeLlama, *, stream: bool
) -> None:
    """A whole answer closes its generation, and aborts nothing."""
    post(client, stream=stream)
    assert llm.generations[-1].is_over.is_set()
    assert not llm.generations[-1].was_aborted
