"""Pictures and sound in the bodies of every dialect, read as for a model, by a fake projector."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from pyllama.text.messages import checked
from tests.support import media_files
from tests.support.fake_generation import FakePrompt
from tests.support.fake_llama import INFO, FakeLlama
from tests.support.fake_projector import FakeProjector, reader
from tests.wsgi.conftest import client_of

PNG = base64.b64encode(media_files.picture()).decode()
WAV = base64.b64encode(media_files.wav()).decode()
BROKEN = base64.b64encode(b"\x89PNG\r\n\x1a\nbroken").decode()
QUESTION = "What is it?"
ADDRESS = "https://example.com/x.png"
TEXT = {"type": "text", "text": QUESTION}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
USE = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
HI = {"role": "user", "content": "Hi"}


class SeeingLlama(FakeLlama):
    """Reads the media of chats; answers with its script."""

    def __init__(self, projector: FakeProjector | None) -> None:
        super().__init__()
        self._reader = reader(projector)
        self.info = replace(INFO, has_vision=projector is not None)

    def chat_prompt(self, messages: Sequence[Mapping[str, Any]], **options: Any) -> FakePrompt:
        """Make a prompt of what is left once marks stand for the media."""
        attachments = self._reader.begin()
        made = checked(messages, attachments)
        shown = [
            part["text"]
            for message in made
            if isinstance(message.get("content"), list)
            for part in message["content"]
        ]
        tokens, _ = attachments.tokenize("".join(shown) or "-")
        return FakePrompt(tokens=tokens, source=messages, options=options)


def openai_body(data: str) -> dict[str, Any]:
    part = {"type": "image_url", "image_url": {"url": f"data:;base64,{data}"}}
    return {"messages": [{"role": "user", "content": [part, TEXT]}]}


def anthropic_block(data: str) -> dict[str, Any]:
    source = {"type": "base64", "media_type": "image/jpeg", "data": data}
    return {"type": "image", "source": source}


def anthropic_body(data: str) -> dict[str, Any]:
    content = [anthropic_block(data), TEXT]
    return {"max_tokens": 5, "messages": [{"role": "user", "content": content}]}


def responses_part(data: str) -> dict[str, Any]:
    url = f"data:;base64,{data}"
    return {"type": "input_image", "image_url": url, "detail": "auto"}


def responses_body(data: str) -> dict[str, Any]:
    content = [responses_part(data), {"type": "input_text", "text": QUESTION}]
    return {"input": [{"role": "user", "content": content}]}


def chat_body(data: str) -> dict[str, Any]:
    message = {"role": "user", "content": QUESTION, "images": [data]}
    return {"model": "fake", "messages": [message], "stream": False}


def generate_body(data: str) -> dict[str, Any]:
    return {"model": "fake", "prompt": QUESTION, "images": [data], "stream": False}


BODIES = {
    "/v1/chat/completions": openai_body,
    "/v1/messages": anthropic_body,
    "/v1/responses": responses_body,
    "/api/chat/ollama": chat_body,
    "/api/generate": generate_body,
}


@pytest.mark.parametrize("path", BODIES)
def test_every_dialect_makes_the_same_chat(path: str) -> None:
    """A picture and a question are one chat, whatever form they came in."""
    llm = SeeingLlama(FakeProjector())
    response = client_of(llm).post(path, json=BODIES[path](PNG))
    assert response.status_code == 200, response.text
    prompt = llm.generations[-1].prompt
    assert prompt.source == openai_body(PNG)["messages"]
    assert any(token < 0 for token in prompt.tokens)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/messages", "messages[0].content[0].source.data"),
        ("/v1/responses", "input[0].content[0].image_url"),
        ("/api/chat/ollama", "messages[0].images[0]"),
        ("/api/generate", "images[0]"),
    ],
)
@pytest.mark.parametrize(
    ("data", "projector", "reason"),
    [
        (BROKEN, FakeProjector(), "cannot be read"),
        ("", FakeProjector(), "is empty"),
        ("????", FakeProjector(), "is no base64"),
        (WAV, FakeProjector(), "it is a sound"),
        (PNG, None, "the model takes text only"),
    ],
)
def test_refusal_names_the_clients_own_member(
    path: str, name: str, data: str, projector: FakeProjector | None, reason: str
) -> None:
    """What cannot be shown is a 400 in the dialect's form that says where it stands, and why."""
    response = client_of(SeeingLlama(projector)).post(path, json=BODIES[path](data))
    assert response.status_code == 400
    error = response.json()["error"]
    message = error if isinstance(error, str) else error["message"]
    assert message.startswith(name)
    assert reason in message
    assert "image_url.url" not in message
    if path == "/v1/responses":
        assert error["param"] == name


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        (
            "/v1/messages",
            {
                "max_tokens": 5,
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image", "source": {"type": "url", "url": ADDRESS}},
                        ],
                    }
                ],
            },
            "messages[0].content[0].source.url",
        ),
        (
            "/v1/responses",
            {
                "input": [
                    HI,
                    {"role": "user", "content": [{"type": "input_image", "image_url": ADDRESS}]},
                ]
            },
            "input[1].content[0].image_url",
        ),
    ],
)
def test_addresses_are_handed_on(path: str, body: dict[str, Any], name: str) -> None:
    """What reads media decides about them, and its refusal names the client's own member."""
    response = client_of(SeeingLlama(FakeProjector())).post(path, json=body)
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith(f"{name} is an address")


def test_data_is_never_an_address() -> None:
    """What is said to be base64 is read as base64, whatever it begins with."""
    for path in ("/v1/messages", "/api/chat/ollama", "/api/generate"):
        response = client_of(SeeingLlama(FakeProjector())).post(path, json=BODIES[path](ADDRESS))
        assert response.status_code == 400
        assert "is no base64" in response.text


@pytest.mark.parametrize("is_error", [False, True])
@pytest.mark.parametrize("data", [PNG, BROKEN])
def test_results_of_tools_may_show_pictures(data: str, is_error: bool) -> None:  # noqa: FBT001
    """Anthropic's and Responses' results of tools hold pictures, which are named as they stand."""
    result = {"type": "tool_result", "tool_use_id": "c", "content": [anthropic_block(data)]}
    messages = [
        HI,
        {"role": "assistant", "content": [USE]},
        {"role": "user", "content": [{**result, "is_error": is_error}]},
    ]
    output = {"type": "function_call_output", "call_id": "c", "output": [responses_part(data)]}
    asked = {
        "/v1/messages": {"max_tokens": 5, "messages": messages},
        "/v1/responses": {"input": [HI, CALL, output]},
    }
    names = ("messages[2].content[0].content[0].source.data", "input[2].output[0].image_url")
    for (path, body), name in zip(asked.items(), names, strict=True):
        llm = SeeingLlama(FakeProjector())
        response = client_of(llm).post(path, json=body)
        if data == BROKEN:
            assert response.status_code == 400
            assert response.json()["error"]["message"].startswith(name)
        else:
            assert response.status_code == 200, response.text
            assert llm.generations[-1].prompt.source[2]["content"][-1]["type"] == "image_url"


def test_responses_take_sound() -> None:
    """A sound is the part that OpenAI's chats have."""
    llm = SeeingLlama(FakeProjector())
    part = {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}
    body: dict[str, Any] = {"input": [{"role": "user", "content": [part]}]}
    assert client_of(llm).post("/v1/responses", json=body).status_code == 200
    assert llm.generations[-1].prompt.source == [{"role": "user", "content": [part]}]
    part["input_audio"] = {"data": PNG}
    error = client_of(llm).post("/v1/responses", json=body).json()["error"]
    assert error["param"] == "input[0].content[0].input_audio.data"
    assert "it is a picture" in error["message"]


def test_nobody_but_users_and_tools_shows_anything() -> None:
    """A picture of the assistant's or the system's is refused by its path."""
    for role in ("system", "assistant"):
        message = {"role": role, "content": "x", "images": [PNG]}
        body = {"model": "fake", "messages": [message, HI], "stream": False}
        response = client_of(SeeingLlama(FakeProjector())).post("/api/chat/ollama", json=body)
        assert response.status_code == 400
        assert response.json()["error"].startswith("messages[0].images[0]: media belong into")


def test_documents_of_plain_text_are_text() -> None:
    """Title, context and text of a document are told in this order."""
    llm = SeeingLlama(None)
    source = {"type": "text", "media_type": "text/plain", "data": "Once."}
    block = {"type": "document", "source": source, "title": "T", "context": "C"}
    body = {"max_tokens": 5, "messages": [{"role": "user", "content": [block]}]}
    assert client_of(llm).post("/v1/messages", json=body).status_code == 200
    assert llm.generations[-1].prompt.source == [{"role": "user", "content": "T\n\nC\n\nOnce."}]


def test_no_context_comes_back_of_a_picture() -> None:
    """What stands for it is no token that could be sent again; without one there is a context."""
    client = client_of(SeeingLlama(FakeProjector()))
    assert "context" not in client.post("/api/generate", json=generate_body(PNG)).json()
    body = {"model": "fake", "prompt": QUESTION, "stream": False}
    assert "context" in client.post("/api/generate", json=body).json()


@pytest.mark.parametrize("other", [{"raw": True}, {"suffix": "x"}, {"template": "T"}])
def test_pictures_need_a_chat(other: dict[str, Any]) -> None:
    """A text that is no chat has no place for them."""
    client = client_of(SeeingLlama(FakeProjector()))
    response = client.post("/api/generate", json={**generate_body(PNG), **other})
    assert response.status_code == 400
    assert "images and" in response.json()["error"]


def test_counts_cover_what_is_shown() -> None:
    """The counting routes count a picture as the generating ones do, and generate nothing."""
    llm = SeeingLlama(FakeProjector())
    client = client_of(llm)
    counted = []
    for path, counting in (
        ("/v1/chat/completions", "/v1/chat/completions/input_tokens"),
        ("/v1/messages", "/v1/messages/count_tokens"),
        ("/v1/responses", "/v1/responses/input_tokens"),
    ):
        body = BODIES[path](PNG)
        body.pop("max_tokens", None)
        counted.append(client.post(counting, json=body).json()["input_tokens"])
    assert not llm.generations
    client.post("/v1/chat/completions", json=openai_body(PNG))
    assert counted == [len(llm.generations[-1].prompt.tokens)] * 3


@pytest.mark.parametrize("projector", [None, FakeProjector()])
def test_what_the_model_takes_is_told(projector: FakeProjector | None) -> None:
    """In the words of each dialect; to Ollama's clients a projector is one of the families."""
    client = client_of(SeeingLlama(projector))
    shown = client.post("/api/show", json={"model": "fake"}).json()
    has_one = projector is not None
    assert ("vision" in shown["capabilities"]) == has_one
    assert "audio" not in shown["capabilities"]
    (model,) = client.get("/api/tags").json()["models"]
    assert ("clip" in model["details"]["families"]) == has_one
    modalities = {"vision": has_one, "video": has_one, "audio": False}
    assert client.get("/props").json()["modalities"] == modalities
    (listed,) = client.get("/v1/models").json()["data"]
    assert listed["modalities"] == {"vision": has_one, "audio": False}
