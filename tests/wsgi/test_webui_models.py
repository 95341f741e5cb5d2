"""The model that is served, and loading it anew."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from pyllama import hub
from pyllama.errors import ModelLoadError, ModelNotFound
from pyllama.recommendation import Recommendation
from pyllama.settings.settings import Settings
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import ClientOf, client_of
from tests.wsgi.sse import events
from tests.wsgi.test_openapi import check_answer
from wsgi.host import Host

LOAD = "/api/models/load"
ASKED = {"model": "fake"}
HI = {"messages": [{"role": "user", "content": "Hi"}]}


class Loader:
    """Loads fake models, or fails as the test says."""

    def __init__(self) -> None:
        self.models: list[FakeLlama] = []
        self.failures: list[Exception] = []
        self.gate = threading.Event()
        self.gate.set()

    def load(self) -> Any:
        assert self.gate.wait(10)
        if self.failures:
            raise self.failures.pop(0)
        self.models.append(FakeLlama())
        return self.models[-1]


def served(host: Host, loader: Loader) -> Iterator[Host]:
    """Have a host load its first model; close it in the end, whatever a load waits for."""
    host.start()
    until(lambda: host.state == "ready")
    yield host
    loader.gate.set()
    host.close()


@pytest.fixture
def loader() -> Loader:
    """What makes the models of a host."""
    return Loader()


@pytest.fixture
def host(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host with the first model loaded; its file is taken to be sound."""
    monkeypatch.setattr(hub, "check_gguf", lambda _path: None)
    yield from served(Host.loading(loader.load), loader)


@pytest.fixture
def client(host: Host) -> httpx.Client:
    """A client of that host."""
    return client_of(host)


def until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


def test_the_model_is_told(client: httpx.Client) -> None:
    """Its file, what it computes on, and the limits that a page shows."""
    response = client.get("/api/models")
    check_answer("/api/models", "get", response)
    assert response.json() == {
        "models": ["fake.gguf"],
        "mmProjModels": [],
        "loaded": "fake.gguf",
        "loadedMmProj": None,
        "modalities": {"vision": False, "audio": False},
        "loadedBackend": "CPU",
        "defaultBackend": "CPU",
        "supportedBackends": [{"value": "CPU", "label": "CPU"}],
        "architecture": "fake",
        "defaultMaxTokens": 200,
        "contextLimit": 4096,
        "recommended": {},
        "state": "ready",
    }


def test_what_suits_the_model_is_told_and_holds_only_if_it_is_sent(connect: ClientOf) -> None:
    """The page gets the card by the names of a chat's fields; a chat without them stays itself."""
    llm = FakeLlama()
    llm.recommended = Recommendation(
        system_prompt="Be kind.", params={"temperature": 0.2, "repeat_penalty": 1.1}
    )
    client = connect(llm)
    response = client.get("/api/models")
    check_answer("/api/models", "get", response)
    assert response.json()["recommended"] == {
        "systemPrompt": "Be kind.",
        "temperature": 0.2,
        "repetitionPenalty": 1.1,
    }
    for path in ("/api/chat", "/v1/chat/completions"):
        body = {**HI, "stream": False} | ({"model": "fake"} if path.startswith("/v1") else {})
        assert client.post(path, json=body).status_code == 200
        (generation,) = llm.generations
        assert generation.params == llm.defaults
        assert [message["role"] for message in generation.prompt.source] == ["user"]
        llm.generations.clear()


def test_a_model_that_loads_is_none_yet(connect: ClientOf) -> None:
    """The page is told the state, not refused."""
    response = connect(Host()).get("/api/models")
    check_answer("/api/models", "get", response)
    told = response.json()
    assert (told["loaded"], told["models"], told["state"]) == (None, [], "loading")
    assert told["modalities"] is None


@pytest.mark.parametrize(
    "mmproj", ["/models/sees.gguf", "hf:org/repo:sees.gguf", "sees.gguf", "C:\\models\\sees.gguf"]
)
def test_a_projector_is_told(connect: ClientOf, mmproj: str) -> None:
    """Its file's name and what the model takes through it; the folder is nobody's business."""
    llm = FakeLlama()
    llm.info = replace(llm.info, has_vision=True)
    llm.settings = Settings(mmproj=mmproj)
    response = connect(llm).get("/api/models")
    check_answer("/api/models", "get", response)
    told = response.json()
    assert told["loadedMmProj"] == "sees.gguf"
    assert told["mmProjModels"] == ["sees.gguf"]
    assert told["modalities"] == {"vision": True, "audio": False}


@pytest.mark.parametrize(
    ("mmproj", "status"),
    [
        (None, 200),
        ("sees.gguf", 200),
        ("/models/sees.gguf", 200),
        ("", 400),
        ("none", 400),
        ("other.gguf", 400),
    ],
)
def test_the_projector_is_loaded_with_the_model(
    client: httpx.Client, loader: Loader, mmproj: str | None, status: int
) -> None:
    """The one that the server was started with, by its name or its path, and no other."""
    for model in loader.models:
        model.settings = Settings(mmproj="/models/sees.gguf")
    body = ASKED if mmproj is None else {**ASKED, "mmproj": mmproj}
    response = client.post(LOAD, json=body)
    assert response.status_code == status
    if status == 400:
        assert response.json()["param"] == "mmproj"
        assert "sees.gguf" in response.json()["error"]


def test_a_chosen_device_is_not_guessed(connect: ClientOf) -> None:
    """Where options choose devices, the default one is not said to compute."""
    llm = FakeLlama()
    llm.settings = Settings(options=(("--gpu-layers", "0"),))
    assert connect(llm).get("/api/models").json()["loadedBackend"] is None


@pytest.mark.parametrize("name", ["fake", "fake.gguf", "FAKE.gguf", "fake:latest"])
def test_the_model_is_loaded_anew(client: httpx.Client, loader: Loader, name: str) -> None:
    """The former one is closed, and the next request goes to the new one."""
    response = client.post(LOAD, json={"model": name, "backend": "cpu", "mmproj": "none"})
    check_answer(LOAD, "post", response)
    assert response.json() == {
        "ok": True,
        "model": "fake.gguf",
        "loadedMmProj": None,
        "architecture": "fake",
    }
    former, present = loader.models
    assert former.is_closed
    assert events(client.post("/api/chat", json=HI).text)[-1]["done"] is True
    assert len(present.generations) == 1


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"model": "other"}, 404, "model 'other' not found"),
        ({"model": "/etc/passwd"}, 404, "not found"),
        ({"model": " "}, 400, "model is required"),
        ({**ASKED, "backend": "cuda"}, 400, "backend 'cuda'"),
        ({**ASKED, "mmproj": "x.gguf"}, 400, "no projector"),
        ({}, 400, "model is missing"),
    ],
)
def test_what_is_not_on_offer_is_refused(
    client: httpx.Client, loader: Loader, body: dict[str, Any], status: int, reason: str
) -> None:
    """Another model, device or projector changes nothing."""
    response = client.post(LOAD, json=body)
    assert response.status_code == status
    assert response.json()["ok"] is False
    assert reason in response.json()["error"]
    assert len(loader.models) == 1
    assert not loader.models[0].is_closed


def test_a_file_that_is_gone_changes_nothing(
    client: httpx.Client, loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is looked at before the model that runs is given up."""

    def refuse(path: Path) -> None:
        raise ModelNotFound(str(path), "there is no such file.")

    monkeypatch.setattr(hub, "check_gguf", refuse)
    response = client.post(LOAD, json=ASKED)
    assert response.status_code == 503
    assert "no such file" in response.json()["error"]
    assert not loader.models[0].is_closed


def test_the_next_request_works_after_a_failed_load(client: httpx.Client, loader: Loader) -> None:
    """Who asked is told of the failure, and the model is there again by then."""
    loader.failures = [ModelLoadError("fake.gguf", "out of memory.")]
    response = client.post(LOAD, json=ASKED)
    assert response.status_code == 503
    assert "out of memory" in response.json()["error"]
    assert len(loader.models) == 2
    assert client.post("/api/chat", json=HI).status_code == 200


def test_a_model_that_failed_twice_stays_failed(
    client: httpx.Client, host: Host, loader: Loader
) -> None:
    """Health tells the reason."""
    loader.failures = [ModelLoadError("fake.gguf", reason) for reason in ("one.", "two.")]
    assert "one." in client.post(LOAD, json=ASKED).json()["error"]
    assert host.state == "failed"
    health = client.get("/health")
    assert health.status_code == 503
    assert "two." in health.json()["error"]["message"]


def test_a_load_after_one_that_failed_works(
    client: httpx.Client, host: Host, loader: Loader
) -> None:
    """What was wrong can be mended without a restart; what is asked for is checked as before."""
    loader.failures = [ModelLoadError("fake.gguf", reason) for reason in ("one.", "two.")]
    client.post(LOAD, json=ASKED)
    assert client.post(LOAD, json={"model": "another"}).status_code == 404
    assert host.state == "failed"
    assert client.post(LOAD, json=ASKED).status_code == 200
    assert client.post("/api/chat", json=HI).status_code == 200


@pytest.mark.parametrize("step", ["drain", "close"])
def test_a_model_that_cannot_end_makes_room_all_the_same(
    client: httpx.Client,
    host: Host,
    loader: Loader,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    step: str,
) -> None:
    """A fault while the former model ends is logged, and the next one is loaded."""
    former = loader.models[0]
    monkeypatch.setattr(former, step, _broken)
    assert client.post(LOAD, json=ASKED).status_code == 200
    assert "it is stuck" in caplog.text
    assert former.is_closed == (step == "drain")
    loaded: Any = host.current
    assert loaded is loader.models[1]
    assert client.post("/api/chat", json=HI).status_code == 200


def _broken(*_: object) -> None:
    raise RuntimeError("it is stuck")


def test_running_requests_end_first(client: httpx.Client, host: Host, loader: Loader) -> None:
    """A stream that runs is whole; who comes meanwhile is told to come again."""
    loader.models[0].script = ["a", 0.5, "b"]
    loader.gate.clear()
    texts: list[str] = []
    statuses: list[int] = []
    stream = threading.Thread(target=lambda: texts.append(client.post("/api/chat", json=HI).text))
    stream.start()
    until(lambda: bool(loader.models[0].generations))
    load = threading.Thread(
        target=lambda: statuses.append(client_of(host).post(LOAD, json=ASKED).status_code)
    )
    load.start()
    until(lambda: host.state == "loading")
    refused = client_of(host).post("/api/chat", json=HI)
    again = client_of(host).post(LOAD, json=ASKED)
    stream.join(10)
    loader.gate.set()
    load.join(10)
    assert (refused.status_code, again.status_code) == (503, 503)
    assert "Retry-After" in refused.headers
    assert [event["token"] for event in events(texts[0])[1:-1]] == ["a", "b"]
    assert events(texts[0])[-1]["error"] is None
    assert statuses == [200]
    assert len(loader.models) == 2


def test_a_server_that_shuts_down_loads_nothing(
    client: httpx.Client, host: Host, loader: Loader
) -> None:
    """Draining is final."""
    host.drain(0.0)
    assert client.post(LOAD, json=ASKED).status_code == 503
    assert len(loader.models) == 1


def test_a_model_loaded_too_late_is_freed(host: Host, loader: Loader) -> None:
    """A host that is closed while it loads frees what came of it."""
    loader.gate.clear()
    load = threading.Thread(target=lambda: client_of(host).post(LOAD, json=ASKED))
    load.start()
    until(lambda: host.state == "loading")
    host.close()
    loader.gate.set()
    load.join(10)
    assert all(model.is_closed for model in loader.models)


def test_a_model_that_was_given_is_not_loaded(
    connect: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An application over a model of the caller's own cannot load it."""
    monkeypatch.setattr(hub, "check_gguf", lambda _path: None)
    response = connect(FakeLlama()).post(LOAD, json=ASKED)
    assert response.status_code == 400
    assert "restart it" in response.json()["error"]
