"""Embeddings by the public clients, from a real server that answers chats as well."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import ollama
import openai
import pytest

from tests.e2e.conftest import STATUS_APP
from tests.support import tiny_bert
from tests.support.serving import Server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.model]

N_CTX = 512
TEXTS = ["The cat sleeps on the stove.", "Interest rates rose.", "The cat sleeps on the stove."]
LONG = "All work and no play makes Jack a dull boy. " * 20


@pytest.fixture(scope="module")
def server(short_model_path: Path) -> Iterator[Server]:
    """A server of the default model whose contexts are small, for some texts fill one."""
    environ = {
        "LLAMA_ARG_MODEL": str(short_model_path),
        "LLAMA_ARG_CTX_SIZE": str(8 * N_CTX),
        "LLAMA_ARG_N_PARALLEL": "8",
        "LLAMA_ARG_THREADS": "1",
    }
    with Server(*STATUS_APP, environ=environ) as server:
        yield server.ready()


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def check(vectors: Sequence[Sequence[float]]) -> None:
    """Check vectors of :data:`TEXTS`."""
    assert [math.hypot(*vector) for vector in vectors] == pytest.approx([1, 1, 1], abs=1e-5)
    assert cosine(vectors[0], vectors[2]) > 0.999
    assert cosine(vectors[0], vectors[1]) < 0.99


def test_openai_client_gets_vectors(public: openai.OpenAI) -> None:
    """It asks for base64 by itself; plain numbers and tokens give the same."""
    made = public.embeddings.create(model="any", input=TEXTS)
    vectors = [item.embedding for item in made.data]
    check(vectors)
    assert [item.index for item in made.data] == [0, 1, 2]
    assert made.usage.total_tokens == made.usage.prompt_tokens > 0
    plain = public.embeddings.create(model="any", input=TEXTS[0], encoding_format="float")
    assert cosine(plain.data[0].embedding, vectors[0]) > 0.999
    tokens = public.embeddings.create(model="any", input=[[504, 2644], [504, 2644]])
    assert tokens.usage.prompt_tokens == 4
    short = public.embeddings.create(model="any", input=TEXTS[0], dimensions=8)
    assert len(short.data[0].embedding) == 8


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", ""]}, "input[1]"),
        ({"input": [[49152]]}, "input[0]"),
        ({"input": LONG * 10}, "input"),
        ({"input": "a", "dimensions": 999}, "dimensions"),
    ],
)
def test_openai_client_is_told_the_field(
    public: openai.OpenAI, options: dict[str, Any], param: str
) -> None:
    """What cannot be embedded is a bad request, and the next one is answered."""
    with pytest.raises(openai.BadRequestError) as caught:
        public.embeddings.create(model="any", **options)
    assert caught.value.param == param
    assert public.embeddings.create(model="any", input="a").data


def test_ollama_client_gets_vectors(server: Server, short_model_path: Path) -> None:
    """Both of its calls, the first one's form too; long texts are cut unless it forbids it."""
    model = short_model_path.stem
    with ollama.Client(host=server.url) as public:
        made = public.embed(model, TEXTS)
        check(made.embeddings)
        assert made.model == model
        assert made.prompt_eval_count
        assert made.total_duration
        single = public.embeddings(model, TEXTS[0])
        assert cosine(single.embedding, made.embeddings[0]) > 0.999
        assert public.embed(model, LONG * 10).prompt_eval_count == N_CTX
        with pytest.raises(ollama.ResponseError) as caught:
            public.embed(model, LONG * 10, truncate=False)
        assert caught.value.status_code == 400
        with pytest.raises(ollama.ResponseError) as caught:
            public.embed("other", "a")
        assert caught.value.status_code == 404


def test_async_ollama_client_gets_vectors(server: Server, short_model_path: Path) -> None:
    """Several at once."""

    async def ask() -> list[Any]:
        client = ollama.AsyncClient(host=server.url)
        try:
            return await asyncio.gather(
                *(client.embed(short_model_path.stem, TEXTS) for _ in range(3))
            )
        finally:
            await client._client.aclose()

    for made in asyncio.run(ask()):
        check(made.embeddings)


def test_native_route_gives_rows(client: httpx.Client) -> None:
    """As llama-server shapes them."""
    answer = client.post("/embedding", json={"content": TEXTS}).json()
    assert [item["index"] for item in answer] == [0, 1, 2]
    check([item["embedding"][0] for item in answer])


def test_chats_go_on_meanwhile(public: openai.OpenAI, client: httpx.Client) -> None:
    """A stream that runs while many texts are embedded is neither changed nor stopped."""
    asked: Any = {
        "model": "any",
        "prompt": "One, two, three,",
        "max_tokens": 4,
        "temperature": 0,
        "extra_body": {"ignore_eos": True},
    }
    expected = public.completions.create(**asked).choices[0].text
    embedded: list[Any] = []
    work = threading.Thread(
        target=lambda: embedded.append(public.embeddings.create(model="any", input=[LONG] * 8))
    )
    work.start()
    stream = public.completions.create(**asked, stream=True)
    text = "".join(chunk.choices[0].text for chunk in stream if chunk.choices)
    was_beside = work.is_alive()
    work.join()
    assert was_beside
    assert text == expected
    assert len(embedded[0].data) == 8
    assert client.post("/test/engine").json() == {"ledger": "agrees"}


def test_a_client_that_leaves_is_noticed(client: httpx.Client, server: Server) -> None:
    """Its texts are not computed to their end."""
    with pytest.raises(httpx.ReadTimeout):
        client.post("/v1/embeddings", json={"input": [LONG] * 500}, timeout=1.0)
    deadline_s = time.monotonic() + 10
    while "status=499" not in server.log:
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert client.get("/test/engine").json()["n_waiting"] == 0
    assert client.post("/v1/embeddings", json={"input": "a"}).status_code == 200


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a model that does nothing but embed."""
    path = tiny_bert.write(tmp_path_factory.mktemp("bert") / "bert.gguf")
    environ = {"LLAMA_ARG_MODEL": str(path), "LLAMA_ARG_THREADS": "1"}
    with Server("-c", "python:wsgi.gunicorn_conf", "wsgi:app", environ=environ) as server:
        yield server.ready()


def test_a_server_of_an_encoder_embeds_only(encoder: Server) -> None:
    """Requests for text are told so, in each dialect, and the server lives on."""
    messages: Any = [{"role": "user", "content": "hi"}]
    url = f"{encoder.url}/v1"
    with (
        openai.OpenAI(base_url=url, api_key="none", max_retries=0) as public,
        ollama.Client(host=encoder.url) as client,
    ):
        for _ in range(2):
            with pytest.raises(openai.BadRequestError, match="no text is generated"):
                public.chat.completions.create(model="any", messages=messages)
            with pytest.raises(openai.BadRequestError, match="no text is generated"):
                public.completions.create(model="any", prompt="hi", stream=True)
            with pytest.raises(ollama.ResponseError, match="no text is generated"):
                client.generate("bert", "hi")
            assert client.show("bert").capabilities == ["embedding"]
            assert len(client.embed("bert", ["a" * 999, "b"]).embeddings) == 2
            made = public.embeddings.create(model="any", input=["hello", "hello"])
            assert cosine(made.data[0].embedding, made.data[1].embedding) > 0.9999
