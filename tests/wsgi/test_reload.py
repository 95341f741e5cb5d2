"""Loading the model anew beside clients that use it: what they are told, and what they are not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from pyllama import hub
from pyllama.errors import Cancelled, ConfigError, EngineError, ModelClosed, ModelLoadError
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import ClientOf, client_of
from tests.wsgi.test_webui_models import ASKED, HI, LOAD, Loader, served, until
from wsgi.host import Host

FOLDER = "/srv/secret place/models"
FILE = f"{FOLDER}/model.gguf"
ROUTES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": HI,
    "/v1/completions": {"prompt": "Hi"},
    "/v1/messages": {**HI, "max_tokens": 9},
    "/v1/responses": {"input": "Hi"},
    "/api/chat": HI,
    "/api/generate": {"model": "fake", "prompt": "Hi"},
}
FAILURES = [
    ModelLoadError(FILE, f"failed to open GGUF file '{FILE}'.", "Download it again."),
    ModelLoadError(FILE, f"{FOLDER}/model-00002-of-00002.gguf is missing."),
    ModelLoadError("/other/x.gguf", "cannot be read: /other/place/y: denied."),
    ConfigError("--chat-template-file: /other/place/t.jinja: no such file"),
]


class Checked(Loader):
    """A loader whose models are looked at before."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Exception] = []
        self.n_checks = 0

    def check(self) -> None:
        self.n_checks += 1
        if self.faults:
            raise self.faults.pop(0)


@pytest.fixture
def loader() -> Checked:
    """What makes the models of a host."""
    return Checked()


@pytest.fixture
def host(loader: Checked, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host with the first model loaded."""
    monkeypatch.setattr(hub, "check_gguf", lambda _path: None)
    yield from served(Host.loading(loader.load, loader.check), loader)


@pytest.fixture
def client(host: Host) -> httpx.Client:
    """A client of that host."""
    return client_of(host)


def check_names_only(text: str) -> None:
    assert "secret" not in text
    assert "/srv" not in text
    assert "/other" not in text


def in_thread(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("fault", FAILURES)
def test_a_broken_file_leaves_the_former_model(
    client: httpx.Client, host: Host, loader: Checked, fault: Exception
) -> None:
    """Who asked is told of it by the file's name; everybody else is served as before."""
    loader.faults = [fault]
    refused = client.post(LOAD, json=ASKED)
    assert refused.status_code == 503
    assert "stays as it was" in refused.json()["error"]
    check_names_only(refused.text)
    assert (host.state, len(loader.models)) == ("ready", 1)
    assert not loader.models[0].is_closed
    assert client.post("/api/chat", json=HI).status_code == 200
    assert client.post(LOAD, json=ASKED).status_code == 200
    assert (len(loader.models), loader.n_checks) == (2, 2)


def test_an_unforeseen_fault_of_the_look_leaves_it_too(
    client: httpx.Client, loader: Checked, caplog: pytest.LogCaptureFixture
) -> None:
    """Its traceback is in the log, and nothing of it in the answer."""
    loader.faults = [KeyError("secret")]
    check_names_only(client.post(LOAD, json=ASKED).text)
    assert "Traceback" in caplog.text
    assert client.post("/api/chat", json=HI).status_code == 200


@pytest.mark.parametrize("path", [*ROUTES, "/health", "/v1/models"])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_load_is_told_by_the_file_s_name(path: str, failure: Exception) -> None:
    """In every dialect, to everybody who asks afterwards; the log has the path."""

    def fail() -> Any:
        raise failure

    host = Host.loading(fail)
    host.start()
    until(lambda: host.state == "failed")
    client = client_of(host)
    body = ROUTES.get(path)
    answer = client.get(path) if body is None else client.post(path, json=body)
    assert answer.status_code == 503
    assert "could not be loaded" in answer.text
    check_names_only(answer.text)


@pytest.mark.parametrize("path", ROUTES)
def test_a_model_that_cannot_embed_says_so_by_its_name(connect: ClientOf, path: str) -> None:
    """An error of a model while it serves has no path either."""
    failure = ModelLoadError(FILE, "memory ran out.")
    answer = connect(FakeLlama(start_error=failure)).post(path, json=ROUTES[path])
    assert answer.status_code == 503
    assert "model.gguf: memory ran out." in answer.text
    check_names_only(answer.text)


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("stream", [True, False])
def test_who_meets_a_closed_model_may_come_again(
    connect: ClientOf, path: str, *, stream: bool
) -> None:
    """A request that had the former model in hand: 503 with Retry-After, and no line in the log."""
    closed: Any = ModelClosed("the model was closed")
    client = connect(FakeLlama(start_error=closed))
    answer = client.post(path, json={**ROUTES[path], "stream": stream})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert "closed" in answer.text


def test_who_is_cut_off_may_come_again(connect: ClientOf) -> None:
    """An answer that the replacement ended is 503 with Retry-After, and says why."""
    llm = FakeLlama(script=["a", Cancelled("the model was closed before the answer was complete")])
    answer = connect(llm).post("/v1/chat/completions", json=HI)
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert "before the answer was complete" in answer.text


def test_a_failed_engine_is_another_matter(connect: ClientOf) -> None:
    """What no retry mends stays 500."""
    llm = FakeLlama(start_error=EngineError("the engine has failed"))
    assert connect(llm).post("/v1/chat/completions", json=HI).status_code == 500


def test_health_of_a_model_that_is_replaced(host: Host, loader: Checked) -> None:
    """A look between the former one and the next is "loading", and never "failed"."""
    former = loader.models[0]
    former.state = "dead"
    loader.gate.clear()
    load = in_thread(lambda: client_of(host).post(LOAD, json=ASKED))
    until(lambda: host.state == "loading")
    health = client_of(host).get("/health")
    assert health.status_code == 503
    assert "Loading" in health.text
    loader.gate.set()
    load.join(10)
    assert client_of(host).get("/health").status_code == 200


def test_loads_at_the_same_time_load_once(host: Host, loader: Checked) -> None:
    """One is done, the others are told to come again; the model is there afterwards."""
    loader.gate.clear()
    answers: list[httpx.Response] = []
    first = in_thread(lambda: answers.append(client_of(host).post(LOAD, json=ASKED)))
    until(lambda: host.state == "loading")
    others = [
        in_thread(lambda: answers.append(client_of(host).post(LOAD, json=ASKED))) for _ in range(4)
    ]
    for thread in others:
        thread.join(10)
    loader.gate.set()
    first.join(10)
    assert sorted(answer.status_code for answer in answers) == [200, 503, 503, 503, 503]
    assert all("Retry-After" in answer.headers for answer in answers if answer.status_code == 503)
    assert len(loader.models) == 2
    assert client_of(host).post("/api/chat", json=HI).status_code == 200


def test_the_former_model_is_gone_before_the_next_is_loaded(host: Host, loader: Checked) -> None:
    """There need not be memory for two."""
    closed: list[bool] = []
    load = loader.load

    def watched() -> Any:
        closed.append(loader.models[-1].is_closed)
        return load()

    host._factory = watched
    assert client_of(host).post(LOAD, json=ASKED).status_code == 200
    assert closed == [True]
