"""The public clients of every dialect, and the page, show a real server the same picture."""

from __future__ import annotations

import asyncio
import base64
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import anthropic
import httpx
import ollama
import openai
import pytest

from tests.support import media_files
from tests.support.media_files import data_url, image_part, shown
from tests.support.media_server import media_server
from tests.wsgi.sse import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.serving import Server

pytestmark = [pytest.mark.e2e, pytest.mark.model]

QUESTION = "What is it?"
N_TOKENS = 12
# What a picture of the projector takes, at least.
N_PICTURE = 16


@pytest.fixture(scope="module")
def server(short_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the default model, which sees; one token a micro-batch, so that sums are one."""
    folder = tmp_path_factory.mktemp("projectors")
    with media_server(
        short_model_path,
        folder,
        LLAMA_ARG_CTX_SIZE=str(4 * 1024),
        LLAMA_ARG_N_PARALLEL="4",
        LLAMA_ARG_UBATCH="1",
    ) as server:
        yield server.ready()


@pytest.fixture(scope="module")
def model(short_model_path: Path) -> str:
    """A name of the model."""
    return short_model_path.stem


def of_openai(server: Server, _model: str, picture: bytes) -> tuple[str, int]:
    """Return the answer and the cached tokens, by OpenAI's chats; streamed and not."""
    messages: Any = shown(QUESTION, image_part(picture))
    asked: Any = {"model": "any", "messages": messages, "max_tokens": N_TOKENS}
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as public:
        chunks = list(public.chat.completions.create(**asked, stream=True))
        whole = public.chat.completions.create(**asked)
    text: str = whole.choices[0].message.content
    deltas = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(deltas) == text
    return text, whole.usage.prompt_tokens_details.cached_tokens


def of_responses(server: Server, _model: str, picture: bytes) -> tuple[str, int]:
    """Return the same by OpenAI's responses."""
    image = {"type": "input_image", "image_url": data_url(picture), "detail": "auto"}
    content = [image, {"type": "input_text", "text": QUESTION}]
    given: Any = [{"role": "user", "content": content}]
    asked: Any = {"model": "any", "input": given, "max_output_tokens": N_TOKENS}
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as public:
        events: Any = list(public.responses.create(**asked, stream=True))
        whole = public.responses.create(**asked)
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == events[-1].response.output_text == whole.output_text
    assert whole.usage is not None
    return whole.output_text, whole.usage.input_tokens_details.cached_tokens


def of_anthropic(server: Server, _model: str, picture: bytes) -> tuple[str, int]:
    """Return the same by Anthropic's messages."""
    data = base64.b64encode(picture).decode()
    source = {"type": "base64", "media_type": "image/png", "data": data}
    content = [{"type": "image", "source": source}, {"type": "text", "text": QUESTION}]
    messages: Any = [{"role": "user", "content": content}]
    asked: Any = {"model": "any", "max_tokens": N_TOKENS, "messages": messages}
    with anthropic.Anthropic(base_url=server.url, api_key="none", max_retries=0) as public:
        with public.messages.stream(**asked) as stream:
            streamed = stream.get_final_message()
        whole = public.messages.create(**asked)
        counted = public.messages.count_tokens(model="any", messages=messages).input_tokens
    text = _said(whole)
    assert _said(streamed) == text
    cached = whole.usage.cache_read_input_tokens or 0
    assert counted == whole.usage.input_tokens + cached
    return text, cached


def encoded(asked: dict[str, Any]) -> dict[str, Any]:
    """Return a question of Ollama's as its client sends it."""
    return {**asked, "images": [base64.b64encode(image).decode() for image in asked["images"]]}


def _hits(server: Server, path: str, asked: dict[str, Any], **fields: Any) -> int:
    """Return how many tokens came from the cache, which Ollama's client does not tell."""
    body = {**asked, **fields, "stream": False}
    count: int = httpx.post(f"{server.url}{path}", json=body, timeout=60).json()[
        "prompt_cache_hit_tokens"
    ]
    return count


def of_ollama_chat(server: Server, model: str, picture: bytes) -> tuple[str, int]:
    """Return the same by Ollama's chats."""
    messages = [{"role": "user", "content": QUESTION, "images": [picture]}]
    asked: Any = {"model": model, "messages": messages, "options": {"num_predict": N_TOKENS}}
    with ollama.Client(host=server.url) as public:
        pieces = [part.message.content for part in public.chat(**asked, stream=True)]
        whole: Any = public.chat(**asked)
    assert "".join(pieces) == whole.message.content
    return whole.message.content, _hits(server, "/api/chat", asked, messages=[encoded(messages[0])])


def of_ollama_generate(server: Server, model: str, picture: bytes) -> tuple[str, int]:
    """Return the same by Ollama's texts."""
    options = {"num_predict": N_TOKENS}
    asked: Any = {"model": model, "prompt": QUESTION, "images": [picture], "options": options}
    with ollama.Client(host=server.url) as public:
        pieces = [part.response for part in public.generate(**asked, stream=True)]
        whole: Any = public.generate(**asked)
    assert "".join(pieces) == whole.response
    assert whole.context is None
    return whole.response, _hits(server, "/api/generate", encoded(asked))


def of_page(server: Server, _model: str, picture: bytes) -> tuple[str, int]:
    """Return the same by the page's chats, for a file that was uploaded."""
    with httpx.Client(base_url=server.url, timeout=60) as page:
        uploaded = page.post("/api/upload", files={"file": ("picture", picture)}).json()
        if "path" not in uploaded:
            raise Refused(uploaded["error"])
        message = {"role": "user", "content": QUESTION, "imagePaths": [uploaded["path"]]}
        asked = {"messages": [message], "maxTokens": N_TOKENS}
        told = events(page.post("/api/chat", json=asked).text)
        whole = page.post("/api/chat", json={**asked, "stream": False}).json()
    assert "".join(event.get("token", "") for event in told) == whole["content"]
    return whole["content"], whole["kvReusedTokens"]


class Refused(Exception):
    """What the page is told of a file that is not taken."""


DIALECTS: dict[str, Callable[[Server, str, bytes], tuple[str, int]]] = {
    "openai": of_openai,
    "responses": of_responses,
    "anthropic": of_anthropic,
    "ollama chat": of_ollama_chat,
    "ollama generate": of_ollama_generate,
    "page": of_page,
}


def _said(message: Any) -> str:
    return "".join(block.text for block in message.content)


def test_all_dialects_say_the_same(server: Server, model: str) -> None:
    """The same picture and question have one answer, whoever asks, and another picture another."""
    answers = {
        seed: {ask(server, model, media_files.picture(seed))[0] for ask in DIALECTS.values()}
        for seed in (1, 2)
    }
    assert all(len(texts) == 1 for texts in answers.values()), answers
    assert answers[1] != answers[2]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_picture_that_was_seen_is_counted_as_cached(
    server: Server, model: str, dialect: str
) -> None:
    """The second time each dialect's own counter covers the picture."""
    picture = media_files.picture(10 + list(DIALECTS).index(dialect))
    _, cached = DIALECTS[dialect](server, model, picture)
    assert cached > N_PICTURE


def test_a_picture_is_shared_with_an_answer_that_still_runs(server: Server, model: str) -> None:
    """Another dialect's request takes it, into the last slot, from one that is being answered."""
    picture = media_files.picture(30)
    chats: list[Any] = [shown(QUESTION, image_part(picture))]
    chats += [[{"role": "user", "content": f"Count to {number}."}] for number in (8, 9)]
    options = {"max_tokens": 400, "ignore_eos": True, "stream": True}
    with ExitStack() as running:
        client = running.enter_context(httpx.Client(base_url=server.url, timeout=60))
        for chat in chats:
            body = {"messages": chat, **options}
            answer = client.stream("POST", "/v1/chat/completions", json=body)
            lines = running.enter_context(answer).iter_lines()
            next(line for line in lines if '"content":' in line)
        messages = [{"role": "user", "content": "And this?", "images": [picture]}]
        asked = {"model": model, "options": {"num_predict": 1}}
        hits = _hits(server, "/api/chat", asked, messages=[encoded(messages[0])])
        assert hits > N_PICTURE


def test_ollamas_client_takes_paths_and_the_asynchronous_one_too(
    server: Server, model: str, tmp_path: Path
) -> None:
    """A path is read by the client; both clients and both forms say the same."""
    path = tmp_path / "picture.png"
    path.write_bytes(media_files.picture(40))
    options = {"num_predict": N_TOKENS}

    async def ask(image: Any) -> str:
        messages = [{"role": "user", "content": QUESTION, "images": [image]}]
        asked: Any = {"model": model, "messages": messages, "options": options}
        async with ollama.AsyncClient(host=server.url) as client:
            answer: Any = await client.chat(**asked)
            stream: Any = await client.chat(**asked, stream=True)
            pieces = [part.message.content async for part in stream]
        assert "".join(pieces) == answer.message.content
        text: str = answer.message.content
        return text

    texts = {asyncio.run(ask(image)) for image in (path, str(path), path.read_bytes())}
    texts.add(of_ollama_chat(server, model, path.read_bytes())[0])
    assert len(texts) == 1


def test_clients_are_told_why_a_picture_is_refused(server: Server, model: str) -> None:
    """Each client raises its own error for a file that cannot be read."""
    broken = b"\x89PNG\r\n\x1a\nbroken"
    errors = (openai.BadRequestError, anthropic.BadRequestError, ollama.ResponseError, Refused)
    for ask in DIALECTS.values():
        with pytest.raises(errors, match=r"cannot be read|is broken"):
            ask(server, model, broken)
    with ollama.Client(host=server.url) as public:
        assert "vision" in (public.show(model).capabilities or [])
    shown = httpx.post(f"{server.url}/api/show", json={"model": model}).json()
    assert shown["projector_info"]["clip.projector_type"] == "mlp"


def test_a_large_picture_goes_through(server: Server, model: str) -> None:
    """36 MB, which is more in base64."""
    assert of_openai(server, model, media_files.picture(50, 3500, 3500, "BMP"))[0]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_clients_are_told_of_the_limit(server: Server, model: str, dialect: str) -> None:
    """Each client reads the whole refusal of a request that is too large, and may ask again."""
    n_bytes = 65 << 20 if dialect == "page" else 49 << 20
    errors = (openai.APIStatusError, anthropic.APIStatusError, ollama.ResponseError, Refused)
    with pytest.raises(errors, match=r"67,?108,?864 bytes") as caught:
        DIALECTS[dialect](server, model, b"BM" + bytes(n_bytes))
    if dialect != "page":
        assert getattr(caught.value, "status_code", None) == 413
        assert "fewer or smaller files" in str(caught.value)
    assert DIALECTS[dialect](server, model, media_files.picture(1))[0]
