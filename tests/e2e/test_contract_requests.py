"""Requests that must all work, each as a stream and not: our own, and those of a file if there.

The file is that of the environment variable PYLLAMA_CONTRACT_REQUESTS, or one beside the
repository; a line is an object with ``endpoint``, ``method`` and ``body``. The model that its
bodies name is put in place of by the one that is served.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from tests.support.fake_llama import FakeLlama
from tests.support.serving import CONTRACT_REQUESTS, ROOT
from tests.wsgi.conftest import client_of
from tests.wsgi.sse import events

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.model]

OWN = ROOT / "tests" / "support" / "contract_requests.jsonl"
BESIDE = ROOT.parent / "shared" / "reference" / "test_requests.jsonl"
GIVEN = Path(os.environ.get(CONTRACT_REQUESTS, BESIDE))

# That of a server is the same: it has no part that comes from the model.
DOCUMENT = client_of(FakeLlama()).get("/openapi.json").json()
FIGURES = {
    "done_reason",
    "total_duration",
    "prompt_eval_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
    "prompt_cache_hit_tokens",
    "prompt_cache_hit_ratio",
}


@pytest.fixture(scope="module")
def served_path(short_model_path: Path) -> Path:
    """The server's model, whose words do not matter."""
    return short_model_path


def requests() -> Iterator[Any]:
    """Yield each line as a parameter that is named by its file, number and path."""
    for file in (OWN, GIVEN):
        lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
        for number, line in enumerate(filter(None, lines), 1):
            request = json.loads(line)
            name = f"{file.stem}-{number}-{request['endpoint'].strip('/').replace('/', '-')}"
            yield pytest.param(request, id=name)


def send(client: httpx.Client, request: dict[str, Any], model: str, **options: Any) -> Any:
    """Send a request to the model that is served; returns the answer, which is a 200."""
    body = request["body"] and {**request["body"], "model": model, **options}
    response = client.request(request["method"], request["endpoint"], json=body)
    assert response.status_code == 200, response.text
    return response


def generates(request: dict[str, Any]) -> bool:
    return bool(request["body"]) and request["body"].keys() & {"prompt", "messages"} != set()


def texts(told: dict[str, Any]) -> str:
    """Return the text of a line of Ollama's."""
    text: str = told["message"]["content"] if "message" in told else told["response"]
    return text


@pytest.mark.parametrize("request_", list(requests()))
def test_request_is_answered_whole(
    client: httpx.Client, served_path: Path, request_: dict[str, Any]
) -> None:
    """It is a 200 whose body has the shape that the document tells of, and every figure."""
    options = {"stream": False} if generates(request_) else {}
    answer = send(client, request_, served_path.name, **options).json()
    path, method = request_["endpoint"], request_["method"].lower()
    told = DOCUMENT["paths"][path][method]["responses"]["200"]["content"]["application/json"]
    Draft202012Validator({**told["schema"], "components": DOCUMENT["components"]}).validate(answer)
    if not generates(request_):
        assert answer
    elif path.startswith("/api/"):
        assert answer.keys() >= FIGURES
        assert answer["eval_count"] <= request_["body"]["options"]["num_predict"]
    else:
        assert 0 < answer["usage"]["completion_tokens"] <= request_["body"]["max_tokens"]


@pytest.mark.parametrize("request_", [one for one in requests() if generates(one.values[0])])
def test_request_is_answered_as_a_stream(
    client: httpx.Client, served_path: Path, request_: dict[str, Any]
) -> None:
    """The pieces make the text, and the last of them has the reason and the figures."""
    response = send(client, request_, served_path.name, stream=True)
    if request_["endpoint"].startswith("/api/"):
        assert response.headers["Content-Type"] == "application/x-ndjson"
        *pieces, last = [json.loads(line) for line in response.text.splitlines()]
        assert [piece["done"] for piece in pieces] == [False] * len(pieces)
        assert last["done"] is True
        assert last.keys() >= FIGURES
        assert texts(last) == ""
        assert any(map(texts, pieces)) or "tools" in request_["body"]
        return
    assert response.headers["Content-Type"] == "text/event-stream"
    *chunks, done = events(response.text)
    assert done == "[DONE]"
    assert all(chunk["object"] == "chat.completion.chunk" for chunk in chunks)
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert choices[-1]["finish_reason"] in {"stop", "length"}
    assert any(choice["delta"].get("content") for choice in choices)


def test_own_requests_cover_the_contract() -> None:
    """Each path of the contract that is served is asked, by bodies of every kind."""
    own = [json.loads(line) for line in OWN.read_text(encoding="utf-8").splitlines()]
    asked = {request["endpoint"] for request in own}
    assert asked >= {
        *("/api/generate", "/api/chat/ollama", "/v1/chat/completions"),
        *("/api/tags", "/api/version", "/api/show", "/v1/models"),
    }
    if GIVEN.is_file():
        lines = GIVEN.read_text(encoding="utf-8").splitlines()
        assert {json.loads(line)["endpoint"] for line in lines if line} <= asked
