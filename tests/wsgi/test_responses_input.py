"""Items become messages, answers are kept for the next request, and refusals name the field."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from pyllama.errors import InvalidRequest
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import ClientOf, client_of
from tests.wsgi.sse import named_events
from wsgi.responses.store import NotStored, ResponseStore, Stored

URL = "/v1/responses"
USER = {"role": "user", "content": "Hi"}
CALL = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
TOOL = {"type": "function", "name": "weather"}


def converted(items: Any, **options: Any) -> Any:
    """Return what the model was asked to continue."""
    llm = FakeLlama()
    response = client_of(llm).post(URL, json={"input": items, **options})
    assert response.status_code == 200, response.text
    return llm.generations[-1].prompt.source


def test_type_without_letters_is_no_message() -> None:
    """An empty type is one that nobody knows, and not one that was left out."""
    response = client_of(FakeLlama()).post(URL, json={"input": [USER, {"type": ""}]})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "input[1].type"


def test_text_and_instructions_are_messages() -> None:
    """A string is what the user says, and instructions come before it."""
    assert converted("Hi") == [USER]
    assert converted("Hi", instructions="Go.") == [{"role": "system", "content": "Go."}, USER]


def test_messages_keep_their_roles_and_parts() -> None:
    """Every role passes, with a string or with parts of the kind that its items have."""
    parts = [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]
    said = {"type": "output_text", "text": "c", "annotations": []}
    items = [
        {"role": "developer", "content": "d"},
        {"type": "message", "role": "user", "content": parts},
        {"id": "msg_1", "type": "message", "role": "assistant", "content": [said]},
        USER,
    ]
    assert converted(items) == [
        {"role": "developer", "content": "d"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        },
        {"role": "assistant", "content": "c"},
        USER,
    ]


def test_reasoning_text_and_calls_are_one_message() -> None:
    """The items of one answer become one message of the assistant; an output answers its call."""
    thought = {"type": "reasoning_text", "text": "hm"}
    items = [
        USER,
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [thought]},
        CALL,
        {**OUTPUT, "output": [{"type": "input_text", "text": "sunny"}]},
        {"role": "assistant", "content": "It is sunny."},
        USER,
    ]
    function = {"name": "weather", "arguments": "{}"}
    assert converted(items, tools=[TOOL]) == [
        USER,
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "hm",
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "c1", "name": "weather", "content": "sunny"},
        {"role": "assistant", "content": "It is sunny."},
        USER,
    ]


def test_refusal_is_text() -> None:
    """What an assistant refused with is what it said."""
    parts = [{"type": "output_text", "text": "Well. "}, {"type": "refusal", "refusal": "No."}]
    said = {"role": "assistant", "content": "Well. No."}
    assert converted([USER, {"type": "message", "role": "assistant", "content": parts}, USER]) == [
        USER,
        said,
        USER,
    ]


@pytest.mark.parametrize("stream", [True, False])
def test_answer_is_kept_and_continued(
    client: httpx.Client, llm: FakeLlama, *, stream: bool
) -> None:
    """An answer can be fetched, and a later request goes on from it, without its instructions."""
    first = client.post(URL, json={"input": "Hi", "instructions": "Go.", "stream": stream})
    answer = named_events(first.text)[-1][1]["response"] if stream else first.json()
    assert client.get(f"{URL}/{answer['id']}").json() == answer
    body = {"input": "And?", "previous_response_id": answer["id"]}
    again = client.post(URL, json=body).json()
    assert again["previous_response_id"] == answer["id"]
    said = {"role": "assistant", "content": "Hello"}
    assert llm.generations[-1].prompt.source == [USER, said, {"role": "user", "content": "And?"}]
    client.post(URL, json={"input": "Go on.", "previous_response_id": again["id"]})
    assert len(llm.generations[-1].prompt.source) == 5


def test_item_is_referred_to(client: httpx.Client, llm: FakeLlama) -> None:
    """An item that is kept may stand in an input by its id, with or without the type."""
    item = client.post(URL, json={"input": "Hi"}).json()["output"][0]
    for reference in ({"type": "item_reference", "id": item["id"]}, {"id": item["id"]}):
        client.post(URL, json={"input": [reference, USER]})
        said = {"role": "assistant", "content": "Hello"}
        assert llm.generations[-1].prompt.source == [said, USER]


def test_answer_that_shall_not_be_kept_is_not(client: httpx.Client) -> None:
    """``store: false`` leaves nothing behind."""
    answer = client.post(URL, json={"input": "Hi", "store": False}).json()
    assert client.get(f"{URL}/{answer['id']}").status_code == 404


def test_answer_is_deleted(client: httpx.Client) -> None:
    """What was deleted is gone, and cannot be gone on from."""
    name = client.post(URL, json={"input": "Hi"}).json()["id"]
    deleted = client.delete(f"{URL}/{name}").json()
    assert deleted == {"id": name, "object": "response", "deleted": True}
    assert client.get(f"{URL}/{name}").status_code == 404
    assert client.delete(f"{URL}/{name}").status_code == 404
    response = client.post(URL, json={"input": "Hi", "previous_response_id": name})
    assert response.status_code == 404
    assert response.json()["error"]["type"] == "not_found_error"
    assert response.json()["error"]["param"] == "previous_response_id"


def stored(name: str, size: int = 1) -> Stored:
    return Stored(response={"id": name}, items=({"id": f"msg_{name}", "text": "x" * size},))


def test_store_forgets_what_was_not_asked_for() -> None:
    """The number is bounded, and what is used stays longest."""
    store = ResponseStore(max_responses=2)
    store.put(stored("a"))
    store.put(stored("b"))
    store.get("a")
    store.put(stored("c"))
    assert len(store) == 2
    assert store.item("msg_a", param="input")["id"] == "msg_a"
    with pytest.raises(NotStored, match="'b'"):
        store.get("b")


def test_store_is_bounded_in_bytes() -> None:
    """Large answers push out others; one larger than the whole store is not kept."""
    store = ResponseStore(max_bytes=1000)
    store.put(stored("a", 400))
    store.put(stored("b", 400))
    assert len(store) == 2
    store.put(stored("c", 400))
    assert len(store) == 2
    store.put(stored("d", 2000))
    assert len(store) == 0
    store.put(stored("e", 900))
    store.delete("e")
    store.put(stored("f", 900))
    assert len(store) == 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": 1}, "input"),
        ({"input": [{}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"type": "message", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"id": 5}]}, "input[0].id"),
        ({"input": [{"id": None}]}, "input[0].id"),
        ({"input": [USER, {"type": "computer_call"}]}, "input[1].type"),
        ({"input": [USER, {"type": "compaction", "encrypted_content": "x"}]}, "input[1].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "x"}]}]},
            "input[0].content[0].type",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "x"}]}]},
            "input[0].content[0].file_id",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].image_url",
        ),
        (
            {
                "input": [
                    {"role": "assistant", "content": [{"type": "input_image", "image_url": ""}]}
                ]
            },
            "input[0].content[0].type",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
            "input[0].content[0].text",
        ),
        ({"input": [{"type": "function_call", "name": "x"}]}, "input[0].call_id"),
        ({"input": [OUTPUT]}, "input[0].call_id"),
        ({"input": [USER, CALL]}, "input"),
        ({"input": "x", "tools": [{"type": "custom"}]}, "tools[0].name"),
        ({"input": "x", "tools": [{"type": "namespace", "name": "n"}]}, "tools[0].tools"),
        ({"input": "x", "tools": [{"type": "function"}]}, "tools[0].name"),
        ({"input": "x", "tool_choice": "required"}, "tool_choice"),
        ({"input": "x", "tool_choice": "maybe"}, "tool_choice"),
        (
            {"input": "x", "tools": [TOOL], "tool_choice": {"type": "function", "name": "y"}},
            "tool_choice.name",
        ),
        ({"input": "x", "tools": [TOOL], "tool_choice": {"type": "mcp"}}, "tool_choice.type"),
        ({"input": "x", "text": {"format": {"type": "json_schema"}}}, "text.format.schema"),
        ({"input": "x", "max_output_tokens": 0}, "max_output_tokens"),
        ({"input": "x", "background": True}, "background"),
        ({"input": "x", "top_logprobs": 21}, "top_logprobs"),
        ({"input": "x", "include": ["everything"]}, "include[0]"),
        ({"input": "x", "conversation": "conv_1"}, "conversation"),
        ({"input": "x", "prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"input": "x", "prompt_cache_options": {"prewarm": True}}, "prompt_cache_options.prewarm"),
    ],
)
def test_refusal_names_the_field(client: httpx.Client, body: dict[str, Any], param: str) -> None:
    """What is wrong is named by its path in the caller's own body."""
    response = client.post(URL, json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


def test_reference_to_nothing_is_not_found(client: httpx.Client) -> None:
    """An id that names no item is a 404 with its path."""
    response = client.post(URL, json={"input": [{"type": "item_reference", "id": "msg_x"}]})
    assert response.status_code == 404
    assert response.json()["error"]["param"] == "input[0].id"


def test_harmless_values_pass(client: httpx.Client) -> None:
    """What asks for nothing, or for what is so anyway, is accepted."""
    body = {
        "input": "x",
        "background": False,
        "truncation": "disabled",
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"summary": "auto"},
        "text": {"verbosity": "medium"},
        "service_tier": "auto",
        "stream_options": {"include_obfuscation": False},
    }
    assert client.post(URL, json=body).status_code == 200


def test_refusal_by_the_template_names_the_callers_field(
    connect: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the library refuses in the messages made here is told by the path in the body."""

    def refuse(*_args: Any, **_options: Any) -> Any:
        param = "messages[1].tool_calls[0].function.arguments"
        raise InvalidRequest(f"{param} is no JSON", param=param)

    llm = FakeLlama()
    monkeypatch.setattr(llm, "chat_prompt", refuse)
    error = connect(llm).post(URL, json={"input": [USER, CALL, OUTPUT]}).json()["error"]
    assert error["param"] == "input[1].arguments"
    assert error["message"] == "input[1].arguments is no JSON"
