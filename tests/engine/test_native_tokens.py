"""``/tokenize``, ``/detokenize``, ``/apply-template`` and counts, over the real vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from pyllama import Llama
from pyllama.errors import InvalidRequest
from tests.support import tiny_qwen
from wsgi.factory import create_app
from wsgi.host import Host

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.model

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]


@pytest.fixture(scope="module")
def client(model_path: Path) -> Iterator[httpx.Client]:
    """A client of an application over the default model."""
    with Llama(str(model_path), ctx_size=256, parallel=1, threads=1) as llm:
        app: Any = create_app(Host(llm))
        transport = httpx.WSGITransport(app=app)
        with httpx.Client(transport=transport, base_url="http://test") as client:
            yield client


def post(client: httpx.Client, url: str, **body: Any) -> Any:
    response = client.post(url, json=body)
    assert response.status_code == 200, response.text
    return response.json()


def test_text_survives_its_tokens(client: httpx.Client) -> None:
    """Detokenising gives the text back, control tokens by their names."""
    text = "naïve 線 🎈 <|im_end|>"
    tokens = post(client, "/tokenize", content=text)["tokens"]
    assert post(client, "/detokenize", tokens=tokens) == {"content": text}


def test_control_tokens_are_read_unless_told_otherwise(client: httpx.Client) -> None:
    """The name of a control token is that token by default, and plain text on demand."""
    (token,) = post(client, "/tokenize", content="<|im_end|>")["tokens"]
    plain = post(client, "/tokenize", content="<|im_end|>", parse_special=False)["tokens"]
    assert token not in plain
    assert len(plain) > 1


def test_pieces_are_text_or_bytes(client: httpx.Client) -> None:
    """A piece that is no whole character is a list of bytes; all of them make up the text."""
    items = post(client, "/tokenize", content="a 🎈", with_pieces=True)["tokens"]
    pieces = [item["piece"] for item in items]
    assert pieces[0] == "a"
    assert any(isinstance(piece, list) for piece in pieces)
    data = b"".join(piece.encode() if isinstance(piece, str) else bytes(piece) for piece in pieces)
    assert data.decode() == "a 🎈"
    assert post(client, "/tokenize", content="a 🎈")["tokens"] == [item["id"] for item in items]


def test_template_is_applied_without_an_answer(client: httpx.Client) -> None:
    """The text that the model would get has all messages, and as many tokens as are counted."""
    prompt = post(client, "/apply-template", messages=MESSAGES)["prompt"]
    assert "Be brief." in prompt
    assert prompt.rstrip().endswith("assistant")
    count = post(client, "/v1/chat/completions/input_tokens", messages=MESSAGES)["input_tokens"]
    assert len(post(client, "/tokenize", content=prompt)["tokens"]) == count


def test_template_is_applied_without_what_the_vocabulary_adds(tmp_path: Path) -> None:
    """The text has no token in front of it: who tokenises it as a whole text adds that one."""
    path = tiny_qwen.write(tmp_path / "bos.gguf", adds_bos=True)
    with Llama(str(path), ctx_size=256, parallel=1, threads=1) as llm:
        app: Any = create_app(Host(llm))
        transport = httpx.WSGITransport(app=app)
        with httpx.Client(transport=transport, base_url="http://test") as client:
            prompt = post(client, "/apply-template", messages=MESSAGES)["prompt"]
            tokens = post(client, "/tokenize", content=prompt, add_special=True)["tokens"]
            url = "/v1/chat/completions/input_tokens"
            count = post(client, url, messages=MESSAGES)["input_tokens"]
    assert prompt.startswith("<|im_start|>system")
    assert len(tokens) == count


def test_a_continued_message_needs_no_new_one(client: httpx.Client) -> None:
    """A prompt cannot both go on with a message and begin one; either alone is fine."""
    messages = [*MESSAGES, {"role": "assistant", "content": "Once"}]
    for url in ("/apply-template", "/v1/chat/completions", "/v1/chat/completions/input_tokens"):
        for value in (True, "content", "reasoning_content"):
            body = {"messages": messages, "continue_final_message": value, "max_tokens": 1}
            refused = client.post(url, json={**body, "add_generation_prompt": True})
            assert refused.status_code == 400, url
            assert refused.json()["error"]["param"] == "continue_final_message"
    for fields in ({"add_generation_prompt": False}, {}):
        body = {"messages": messages, "continue_final_message": True, **fields}
        assert post(client, "/apply-template", **body)["prompt"].endswith("Once")


def test_the_library_refuses_both_as_well(model_path: Path) -> None:
    """So does whoever calls the model without a server."""
    with Llama(str(model_path), ctx_size=256, parallel=1, threads=1) as llm:
        messages = [*MESSAGES, {"role": "assistant", "content": "Once"}]
        with pytest.raises(InvalidRequest) as caught:
            llm.chat_prompt(messages, add_generation_prompt=True, continue_final_message=True)
    assert caught.value.param == "continue_final_message"


@pytest.mark.parametrize(
    ("url", "body", "param"),
    [
        ("/tokenize", {}, "content"),
        ("/tokenize", {"content": 1}, "content"),
        ("/tokenize", {"content": "a", "add_special": 1}, "add_special"),
        ("/detokenize", {}, "tokens"),
        ("/detokenize", {"tokens": ["a"]}, "tokens[0]"),
        ("/detokenize", {"tokens": [1, -1]}, "tokens[1]"),
        ("/detokenize", {"tokens": [10**9]}, "tokens[0]"),
        ("/detokenize", {"tokens": [10**30]}, "tokens[0]"),
        ("/apply-template", {}, "messages"),
    ],
)
def test_wrong_bodies_are_refused(
    client: httpx.Client, url: str, body: dict[str, Any], param: str
) -> None:
    """What is missing, of another type or no token is named."""
    response = client.post(url, json=body)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
