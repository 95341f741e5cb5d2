"""The public OpenAI client shows a real server pictures and sound."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import openai
import pytest

from tests.support import media_files
from tests.support.media_files import audio_part, image_part, shown
from tests.support.media_server import media_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.serving import Server

QUESTION = "What is it?"


@pytest.fixture(scope="module")
def server(short_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the default model, which sees."""
    folder = tmp_path_factory.mktemp("projectors")
    with media_server(
        short_model_path,
        folder,
        LLAMA_ARG_CTX_SIZE=str(8 * 1024),
        LLAMA_ARG_N_PARALLEL="8",
        LLAMA_ARG_ENDPOINT_METRICS="1",
    ) as server:
        yield server.ready()


def ask(public: openai.OpenAI, seed: int, **params: Any) -> Any:
    messages: Any = shown(QUESTION, image_part(media_files.picture(seed)))
    return public.chat.completions.create(
        model="any", messages=messages, temperature=0, max_tokens=12, **params
    )


def test_pictures_are_seen_and_counted(public: openai.OpenAI) -> None:
    """Two pictures, two answers; the same one the same, and its cells are counted as cached."""
    one, other, same = (ask(public, seed) for seed in (1, 2, 1))
    texts = [answer.choices[0].message.content for answer in (one, other, same)]
    assert texts[0] == texts[2] != texts[1]
    assert one.usage.prompt_tokens == same.usage.prompt_tokens
    assert same.usage.prompt_tokens_details.cached_tokens > 16


def test_streams_with_and_without_pictures_run_side_by_side(public: openai.OpenAI) -> None:
    """16 at once on 8 slots, half of them with a picture each: all come to their end."""

    def stream(number: int) -> Any:
        if number % 2:
            chunks = list(ask(public, 100 + number, stream=True))
        else:
            text: Any = [{"role": "user", "content": f"Count to {number}."}]
            chunks = list(
                public.chat.completions.create(
                    model="any", messages=text, max_tokens=12, stream=True
                )
            )
        reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
        return next(reason for reason in reasons if reason)

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(stream, range(16))) <= {"stop", "length"}


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (image_part(b"\x89PNG\r\n\x1a\nbroken"), "cannot be read"),
        (image_part(media_files.picture()[:700]), "cannot be read"),
        (image_part(media_files.wav()), "it is a sound"),
        (image_part(b""), "is empty"),
        ({"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}, "is an address"),
        ({"type": "image_url", "image_url": {"url": "../../etc/passwd"}}, "is no base64"),
        (audio_part(media_files.wav()), "takes no sound"),
        ({"type": "image", "image": "/etc/hostname"}, "are not supported"),
    ],
)
def test_bad_parts_are_refused_by_their_path(
    client: httpx.Client, part: dict[str, Any], reason: str
) -> None:
    """400, which part, and why."""
    text = {"type": "text", "text": QUESTION}
    body = {"messages": [{"role": "user", "content": [text, part]}]}
    answer = client.post("/v1/chat/completions", json=body)
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["param"].startswith("messages[0].content[1]")
    assert reason in error["message"]


def test_what_the_model_takes_is_told(client: httpx.Client) -> None:
    """Beside the model, and in the metrics what it cost."""
    (model,) = client.get("/v1/models").json()["data"]
    assert model["modalities"] == {"vision": True, "audio": False}
    body = {"messages": shown(QUESTION, image_part(media_files.picture(7))), "max_tokens": 1}
    assert client.post("/v1/chat/completions", json=body).status_code == 200
    lines = client.get("/metrics").text.splitlines()
    (line,) = [line for line in lines if line.startswith("pyllama:media_encoded_total ")]
    assert float(line.split()[1]) >= 1
    prompt = client.post("/apply-template", json=body).json()["prompt"]
    assert f"<__media__>{QUESTION}" in prompt
