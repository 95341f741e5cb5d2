"""The host of the model: loading, ready, failed, draining; and health, which tells it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from pyllama.errors import Draining, ModelLoadError, NotReady
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import ClientOf
from wsgi.drain import Drainer, drain_deadline_s
from wsgi.host import Host, LoadFailed

CHAT = "/v1/chat/completions"
BODY = {"messages": [{"role": "user", "content": "Hi"}]}


def joined(host: Host) -> Host:
    """Wait for the loading thread."""
    assert host._loader is not None
    host._loader.join(5)
    return host


def after(gate: threading.Event, llm: Any) -> Callable[[], Any]:
    """Make a load that waits for a gate."""

    def factory() -> Any:
        assert gate.wait(5)
        return llm

    return factory


def told(host: Host, state: str) -> bool:
    """Wait until a host tells this state."""
    deadline_s = time.monotonic() + 5
    while host.state != state and time.monotonic() < deadline_s:
        time.sleep(0.001)
    return host.state == state


def failing(error: Exception) -> Host:
    def factory() -> Any:
        raise error

    host = Host.loading(factory)
    host.start()
    return joined(host)


def test_model_is_loaded_in_a_thread_of_its_own() -> None:
    """While it loads, requests are told to come back; then they are served."""
    gate = threading.Event()
    llm: Any = FakeLlama()
    host = Host.loading(after(gate, llm))
    host.start()
    assert told(host, "loading")
    assert host.is_loading
    with pytest.raises(NotReady, match="Loading model"):
        host.get()
    gate.set()
    joined(host)
    assert told(host, "ready")
    assert host.get() is llm
    assert not host.is_loading


def test_first_request_starts_the_load() -> None:
    """Under a server that calls no hook, the model is loaded all the same."""
    llm: Any = FakeLlama()
    host = Host.loading(lambda: llm)
    with pytest.raises(NotReady):
        host.get()
    assert joined(host).get() is llm


def test_model_is_loaded_once() -> None:
    """However often the load is begun."""
    made: list[Any] = []

    def factory() -> Any:
        made.append(FakeLlama())
        return made[0]

    host = Host.loading(factory)
    for _ in range(3):
        host.start()
    joined(host)
    assert len(made) == 1


def test_failure_is_told_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    """A file that cannot be loaded is one log line and the answer to every request."""
    host = failing(ModelLoadError("m.gguf", "it is empty.", "Fetch it again."))
    assert host.state == "failed"
    assert isinstance(host.failure, ModelLoadError)
    with pytest.raises(LoadFailed, match=r"m\.gguf: it is empty\. Fetch it again\."):
        host.get()
    assert caplog.messages == ["model not loaded: m.gguf: it is empty. Fetch it again."]
    assert "Traceback" not in caplog.text


def test_unforeseen_failure_is_logged_whole(caplog: pytest.LogCaptureFixture) -> None:
    """A bug in the load has its traceback in the log, and nothing of it in the answer."""
    host = failing(KeyError("secret"))
    with pytest.raises(LoadFailed) as caught:
        host.get()
    assert "secret" not in str(caught.value)
    assert "Traceback" in caplog.text


def test_failure_is_reported_once() -> None:
    """The server that runs the host can end itself."""
    told: list[Exception] = []
    error = ModelLoadError("m.gguf", "it is empty.")

    def factory() -> Any:
        raise error

    host = Host.loading(factory)
    host.start(on_failure=told.append)
    joined(host)
    assert told == [error]


def test_drain_refuses_and_waits(llm: Any) -> None:
    """New requests are refused at once, what runs may end."""
    host = Host(llm)
    running = llm.start(llm.text_prompt("a"), llm.defaults)
    thread = threading.Thread(target=host.drain, args=(5.0,))
    thread.start()
    assert told(host, "draining")
    with pytest.raises(Draining):
        host.get()
    assert thread.is_alive()
    running.close()
    thread.join(5)
    assert not thread.is_alive()


def test_drain_of_a_host_without_a_model_is_over_at_once() -> None:
    """There is nothing to wait for."""
    host = Host.loading(lambda: pytest.fail("not to be loaded"))
    host.drain(5.0)
    assert told(host, "draining")


def test_close_frees_the_model_once(llm: Any) -> None:
    """Closing again does nothing, and starting after it neither."""
    host = Host(llm)
    host.close()
    assert llm.is_closed
    llm.is_closed = False
    host.close()
    assert not llm.is_closed
    with pytest.raises(Draining):
        host.get()


def test_model_that_comes_after_close_is_freed() -> None:
    """A load that outlasts its host leaves nothing behind."""
    gate = threading.Event()
    llm: Any = FakeLlama()
    host = Host.loading(after(gate, llm))
    host.start()
    host.close()
    gate.set()
    joined(host)
    assert llm.is_closed


def test_drainer_drains_when_told(llm: Any) -> None:
    """The thread waits for the word, drains, and ends."""
    host = Host(llm)
    drainer = Drainer(host, 5.0)
    assert told(host, "ready")
    drainer.begin()
    drainer.join(5.0)
    assert told(host, "draining")
    assert llm.state == "draining"


def test_drainer_survives_a_failing_drain(llm: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A drain that fails is logged, and does not keep the worker."""
    llm.drain = None
    drainer = Drainer(Host(llm), 5.0)
    drainer.join(5.0)
    assert "the drain failed" in caplog.text


@pytest.mark.parametrize(("graceful_s", "drain_s"), [(30, 27), (6, 3), (2, 1), (1, 0.5)])
def test_drain_ends_before_the_worker_is_killed(graceful_s: float, drain_s: float) -> None:
    """Streams that are cut off have time to say so."""
    assert drain_deadline_s(graceful_s) == drain_s


@pytest.mark.parametrize("path", ["/health", "/v1/health"])
def test_health_of_a_server_that_is_ready(client: httpx.Client, path: str) -> None:
    """200 and llama-server's body; HEAD works as well."""
    response = client.get(path)
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert client.head(path).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/health"), ("POST", CHAT), ("GET", "/models")]
)
def test_loading_server_answers_503(connect: ClientOf, method: str, path: str) -> None:
    """The body is llama-server's, and Retry-After is there."""
    gate = threading.Event()
    llm: Any = FakeLlama()
    host = Host.loading(after(gate, llm))
    response = connect(host).request(method, path, json=BODY if method == "POST" else None)
    gate.set()
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    error = response.json()["error"]
    assert (error["message"], error["type"], error["code"]) == (
        "Loading model",
        "unavailable_error",
        503,
    )


def test_failed_server_answers_503_with_the_reason(connect: ClientOf) -> None:
    """Who looks at health learns why."""
    response = connect(failing(ModelLoadError("m.gguf", "it is empty."))).get("/health")
    assert response.status_code == 503
    assert "m.gguf: it is empty." in response.json()["error"]["message"]


def test_health_of_a_dead_engine_is_500(client: httpx.Client, llm: FakeLlama) -> None:
    """A model that is loaded and an engine that failed is no health."""
    llm.state = "dead"
    assert client.get("/health").status_code == 500
