"""What comes before the engine: it ends where the client leaves, or where it takes too long."""

from __future__ import annotations

import json
import time
from typing import Any

import falcon.testing
import pytest

from pyllama.errors import InvalidRequest
from pyllama.interruption import checkpoint
from tests.support.fake_llama import FakeLlama
from tests.wsgi.test_client import Pair
from wsgi.factory import create_app
from wsgi.host import Host
from wsgi.openai.parse_chat import CHAT_FIELDS
from wsgi.validation import Schema

MESSAGES = [{"role": "user", "content": "Hi"}]
BODIES: dict[str, dict[str, Any]] = {
    "/api/chat": {"model": "fake", "messages": MESSAGES},
    "/api/generate": {"model": "fake", "prompt": "Hi"},
    "/apply-template": {"messages": MESSAGES},
    "/tokenize": {"content": "Hi"},
    "/v1/chat/completions": {"messages": MESSAGES},
    "/v1/chat/completions/input_tokens": {"messages": MESSAGES},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/embeddings": {"input": "Hi"},
    "/v1/messages": {"model": "fake", "max_tokens": 5, "messages": MESSAGES},
    "/v1/messages/count_tokens": {"model": "fake", "messages": MESSAGES},
    "/v1/responses": {"model": "fake", "input": "Hi"},
}


class Slow(FakeLlama):
    """A model for which every prompt takes for ever."""

    n_prompts = 0

    def _prepare(self, *_args: Any, **_options: Any) -> Any:
        self.n_prompts += 1
        end_s = time.monotonic() + 30.0
        while time.monotonic() < end_s:
            checkpoint()
            time.sleep(0.005)
        raise AssertionError("nobody ended it")

    chat_prompt = text_prompt = tokenize = start_embed = _prepare


def app_of(llm: Any, prepare_s: float = 60.0) -> Any:
    return create_app(Host(llm), prepare_s=prepare_s)


def post(app: Any, path: str, body: Any, **environ: Any) -> falcon.testing.Result:
    client = falcon.testing.TestClient(app)
    return client.simulate_post(path, body=json.dumps(body), extras=environ)


@pytest.mark.parametrize("path", BODIES)
def test_client_that_left_ends_the_work(path: str, pair: Pair) -> None:
    """Nothing is made of the body of a client that left before it was read."""
    llm = Slow()
    pair[1].close()
    answer = post(app_of(llm), path, BODIES[path], **{"gunicorn.socket": pair[0]})
    assert (answer.status_code, llm.n_prompts) == (499, 0)
    checkpoint()


@pytest.mark.parametrize("path", BODIES)
def test_client_that_leaves_meanwhile_ends_the_work(path: str, pair: Pair) -> None:
    """A prompt in the making is given up, and the thread serves others."""

    class Left(Slow):
        def _prepare(self, *_args: Any, **_options: Any) -> Any:
            pair[1].close()
            return super()._prepare()

        chat_prompt = text_prompt = tokenize = start_embed = _prepare

    llm = Left()
    answer = post(app_of(llm), path, BODIES[path], **{"gunicorn.socket": pair[0]})
    assert (answer.status_code, llm.n_prompts) == (499, 1)
    checkpoint()


def test_client_that_leaves_ends_the_listing_of_pieces(pair: Pair) -> None:
    """Pieces are looked up as long as somebody waits for them."""

    class Left(FakeLlama):
        n_pieces = 0

        def tokenize(self, *_args: Any, **_options: Any) -> list[int]:
            return [0] * 10_000

        def piece(self, token: int) -> bytes:
            self.n_pieces += 1
            pair[1].close()
            time.sleep(0.001)
            return super().piece(token)

    llm = Left()
    body = {"content": "Hi", "with_pieces": True}
    answer = post(app_of(llm), "/tokenize", body, **{"gunicorn.socket": pair[0]})
    assert answer.status_code == 499
    assert llm.n_pieces < 1000


@pytest.mark.parametrize("path", BODIES)
def test_work_without_end_is_refused(path: str) -> None:
    """Whoever waits is told that it takes too long, in the form of the dialect."""
    answer = post(app_of(Slow(), prepare_s=0.2), path, BODIES[path])
    assert answer.status_code == 413
    assert "longer than 0.2 seconds; shorten it" in answer.text


def test_answer_may_take_longer_than_its_prompt() -> None:
    """The limit ends with the hand-over: an answer has limits of its own."""
    app = app_of(FakeLlama(script=["a", 0.4, "b"]), prepare_s=0.1)
    answer = post(app, "/v1/chat/completions", BODIES["/v1/chat/completions"])
    assert answer.json["choices"][0]["message"]["content"] == "ab"


def long_body(n: int) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}] * n}


def test_body_of_very_many_messages_is_checked_quickly() -> None:
    """The check costs a few times what it takes to write the body down, not hundreds of times."""
    body = long_body(20_000)
    start_s = time.thread_time()
    json.dumps(body)
    written_s = time.thread_time() - start_s
    CHAT_FIELDS.read(body)
    assert time.thread_time() - start_s < 30 * written_s


def test_what_is_wrong_with_one_of_many_is_found_quickly() -> None:
    """Nor does it matter how many right ones come before the wrong one; its path is the whole."""
    body = long_body(20_000)
    start_s = time.thread_time()
    json.dumps(body)
    written_s = time.thread_time() - start_s
    parts = [{"type": "text", "text": "a"}] * 20_000
    body["messages"] += [{"role": "user", "content": [*parts, {"type": "text", "text": 5}]}]
    with pytest.raises(InvalidRequest) as caught:
        CHAT_FIELDS.read(body)
    assert caught.value.param == "messages[20000].content[20000].text"
    assert time.thread_time() - start_s < 60 * written_s


@pytest.mark.parametrize(
    "body",
    [
        {"messages": MESSAGES, "seed": 10.0},
        {"messages": MESSAGES, "temperature": 1},
        {"messages": [{"role": "user", "content": "a", "more": {"a": [None]}}]},
    ],
)
def test_both_libraries_agree_on_what_is_right(body: dict[str, Any]) -> None:
    """What the quick one lets pass the other lets pass too."""
    schema = Schema("wsgi.openai", "chat.json")
    schema.check(body)
    assert not list(schema._validator.iter_errors(body))
