"""The application as a whole: ids, log lines, models, and how it is built."""

from __future__ import annotations

import logging
import subprocess
import sys
import types
from typing import Any

import falcon.testing
import httpx
import pytest

import pyllama
import wsgi
from tests.support.fake_llama import FakeLlama
from tests.support.serving import ROOT
from tests.wsgi.conftest import ClientOf
from wsgi import serve
from wsgi.factory import create_app
from wsgi.host import Host
from wsgi.middleware import WorkerCheck

CHAT = "/v1/chat/completions"
BODY = {"messages": [{"role": "user", "content": "Tell nobody"}]}


@pytest.mark.parametrize("given", ["abc-123", "!" * 128])
def test_sane_request_id_comes_back(client: httpx.Client, given: str) -> None:
    """A client finds its own id in the answer, whatever the status."""
    for path in ("/health", "/nothing"):
        response = client.get(path, headers={"X-Request-Id": given})
        assert response.headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", [None, "", "a b", "a" * 129, "a\tb"])
def test_other_requests_get_an_id(client: httpx.Client, given: str | None) -> None:
    """An id that could spoil a log line is replaced."""
    headers = {} if given is None else {"X-Request-Id": given}
    made = client.get("/health", headers=headers).headers["X-Request-Id"]
    assert made != given
    assert len(made) == 32


@pytest.mark.parametrize("stream", [True, False])
def test_request_is_one_log_line(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, *, stream: bool
) -> None:
    """The line has the id, the cost and the outcome, and nothing of the prompt."""
    with caplog.at_level(logging.INFO, "pyllama.request"):
        client.post(CHAT, json={**BODY, "stream": stream}, headers={"X-Request-Id": "rid"})
    (record,) = [record for record in caplog.records if record.name == "pyllama.request"]
    line = record.getMessage()
    assert line.startswith(f"request_id=rid method=POST route={CHAT} status=200 ")
    for fact in ("prompt_tokens=1", "cached_tokens=1", "completion_tokens=2", "queue_ms=5.0"):
        assert fact in line
    for fact in ("prompt_ms=10.0", "decode_ms=20.0", "ttft_ms=", "finish=stop", "id=chatcmpl-"):
        assert fact in line
    assert "Tell" not in caplog.text


def test_refused_request_is_one_log_line(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A 400 is logged with its status."""
    with caplog.at_level(logging.INFO, "pyllama.request"):
        client.post(CHAT, json={})
    assert [r.getMessage().split(" total_ms")[0][-10:] for r in caplog.records] == ["status=400"]


def test_failed_request_is_logged_as_an_error(
    connect: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    """A generation that failed is told from one whose client left."""
    with caplog.at_level(logging.INFO, "pyllama.request"):
        connect(FakeLlama(["a", RuntimeError()])).post(CHAT, json=BODY)
    assert "status=500" in caplog.text
    assert "finish=error" in caplog.text


def test_path_is_not_logged(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    """A path is the client's text: it could make up lines of its own."""
    with caplog.at_level(logging.DEBUG, "pyllama.request"):
        client.post("/nothing%0Afaked=line")
        client.get("/v1/models/x%0Afaked=line")
    messages = [record.getMessage() for record in caplog.records if record.name != "httpx"]
    assert len(messages) == 2
    assert not any("faked" in message for message in messages)


def test_probes_are_not_logged(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    """Health checks every second leave no lines at INFO."""
    with caplog.at_level(logging.INFO, "pyllama.request"):
        client.get("/health")
    assert not [record for record in caplog.records if record.name == "pyllama.request"]


def test_streams_first_byte_is_not_held_back(connect: ClientOf) -> None:
    """The answer begins while the model still writes."""
    llm = FakeLlama(["a", 60.0, "b"])
    body = {**BODY, "stream": True}
    with connect(llm).stream("POST", CHAT, json=body) as response:
        assert "assistant" in next(response.iter_text())
    assert llm.generations[0].was_aborted


@pytest.mark.parametrize("path", ["/v1/models", "/models"])
def test_models_lists_the_one_that_is_served(client: httpx.Client, path: str) -> None:
    """The list has one entry, with what a client needs to know of it."""
    answer = client.get(path).json()
    assert answer["object"] == "list"
    (model,) = answer["data"]
    assert (model["id"], model["object"], model["created"]) == ("fake.gguf", "model", 1_700_000_000)
    assert model["meta"]["n_ctx"] == 4096
    assert client.get(f"{path}/fake.gguf").json() == model
    assert client.head(path).status_code == 200


@pytest.mark.parametrize("name", ["other", "org/model", "fake.gguf/x"])
def test_other_models_are_404(client: httpx.Client, name: str) -> None:
    """The answer names the model that is there."""
    response = client.get(f"/v1/models/{name}")
    assert response.status_code == 404
    assert "fake.gguf" in response.json()["error"]["message"]


def test_root_is_for_people(client: httpx.Client) -> None:
    """A browser shows that something is there."""
    response = client.get("/")
    assert response.headers["Content-Type"].startswith("text/plain")
    assert "pyllama is running" in response.text


@pytest.mark.parametrize("multithread", [True, False])
def test_wrong_worker_is_warned_about_once(
    caplog: pytest.LogCaptureFixture, *, multithread: bool
) -> None:
    """A server that runs one request at a time is told what to do."""
    check = WorkerCheck()
    req: Any = types.SimpleNamespace(env={"wsgi.multithread": multithread})
    resp: Any = None
    for _ in range(2):
        check.process_request(req, resp)
    assert len(caplog.records) == (0 if multithread else 1)
    assert multithread or "wsgi.gunicorn_conf" in caplog.text


def test_app_is_built_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """``wsgi.app`` exists when asked for, and loads what the settings say."""
    read = types.SimpleNamespace(cors_origins=("https://chat.example.com",), prepare_s=60.0)
    settings: Any = types.ModuleType("pyllama.settings")
    settings.from_environment = lambda: read
    llm = FakeLlama()
    made: list[Any] = []

    class Llama:
        @staticmethod
        def from_settings(given: Any) -> FakeLlama:
            made.append(given)
            return llm

    monkeypatch.setitem(pyllama.__dict__, "settings", settings)
    monkeypatch.setitem(sys.modules, "pyllama.settings", settings)
    monkeypatch.setitem(pyllama.__dict__, "Llama", Llama)
    monkeypatch.setattr(serve, "configure_logging", lambda: None)
    monkeypatch.delitem(wsgi.__dict__, "app", raising=False)
    serve.get_host.cache_clear()
    serve.get_settings.cache_clear()
    try:
        assert callable(wsgi.app)
        host = serve.get_host()
        host.start()
        assert host._loader is not None
        host._loader.join(5)
        served: Any = host.get()
        assert served is llm
        assert made == [read]
        headers = {"Origin": "https://chat.example.com"}
        answer = falcon.testing.simulate_get(wsgi.app, "/health", headers=headers)
        assert answer.headers["Access-Control-Allow-Origin"] == "https://chat.example.com"
    finally:
        serve.get_host.cache_clear()
        serve.get_settings.cache_clear()
        wsgi.__dict__.pop("app", None)


def test_package_has_the_factory_and_nothing_unknown() -> None:
    """The names of the package are made on demand."""
    assert wsgi.create_app is create_app
    with pytest.raises(AttributeError, match="nonsense"):
        _ = wsgi.nonsense


def test_import_has_no_side_effects() -> None:
    """Importing the package imports neither Falcon nor the library."""
    code = "import sys, wsgi; print(sorted({'falcon', 'pyllama'} & sys.modules.keys()))"
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


def test_logging_is_set_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines go to stderr once, and a handler of the user's own is left alone."""
    logger = logging.getLogger("pyllama")
    monkeypatch.setattr(logger, "handlers", [logging.NullHandler()])
    monkeypatch.setattr(logger, "propagate", True)  # restored with the rest
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    serve.configure_logging()
    serve.configure_logging()
    assert len(logger.handlers) == 2
    assert logger.level == logging.INFO


def test_host_is_shared_by_all_routes() -> None:
    """Every route of the application is served by the model of one host."""
    app: Any = create_app(Host())
    for path in (CHAT, "/chat/completions", "/v1/completions", "/models/x", "/v1/health"):
        resource, *_ = app._router.find(path)
        assert isinstance(resource._host, Host)
