"""Which web pages may use the server, by what a browser says of the page that a request is from."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.fake_llama import FakeLlama
from wsgi.factory import create_app
from wsgi.host import Host
from wsgi.origins import LOCAL

CHAT = "/v1/chat/completions"
BODY = {"messages": [{"role": "user", "content": "Hi"}]}
HERE = "http://127.0.0.1:8000"
ELSEWHERE = "https://evil.example"
APP = "https://chat.example.com"


def client_of(*allowed: str, url: str = HERE) -> httpx.Client:
    """Return a client of a server that listens at an address."""
    llm: Any = FakeLlama()
    app: Any = create_app(Host(llm), cors_origins=allowed or (LOCAL,))
    return httpx.Client(transport=httpx.WSGITransport(app=app), base_url=url)


def posted(client: httpx.Client, **headers: str) -> int:
    """Send what a page can send without asking first; return the status."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    content = b'{"messages": [{"role": "user", "content": "Hi"}]}'
    return client.post(CHAT, content=content, headers=sent).status_code


def test_programs_notice_nothing() -> None:
    """Who is no browser says nothing of pages, and may do everything."""
    client = client_of()
    assert posted(client) == 200
    assert client.post("/api/sessions").status_code == 200
    assert "Access-Control-Allow-Origin" not in client.post(CHAT, json=BODY).headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ELSEWHERE, "Sec_Fetch_Site": "cross-site"},
        {"Origin": ELSEWHERE},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://127.0.0.1.evil.example:8000"},
        {"Origin": "http://[evil"},
        # A name that its owner lets lead to this machine.
        {"Origin": "http://evil.example:8000", "Host": "evil.example:8000"},
    ],
)
def test_a_page_of_another_site_is_refused(headers: dict[str, str]) -> None:
    """It may not send what does something, whatever it says of the content."""
    assert posted(client_of(), **headers) == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/upload"),
        ("POST", "/api/models/load"),
        ("POST", "/api/sessions"),
        ("DELETE", "/api/sessions/x"),
        ("POST", "/api/chat"),
        ("POST", "/v1/messages"),
        ("DELETE", "/v1/responses/x"),
        ("OPTIONS", CHAT),
    ],
)
def test_every_route_that_does_something_is_guarded(method: str, path: str) -> None:
    """The error says what happened and how to allow it, in the words of the route."""
    answer = client_of().request(method, path, headers={"Origin": ELSEWHERE})
    assert answer.status_code == 403
    assert "permission_error" in answer.text
    assert "--cors-origins" in answer.text
    assert ELSEWHERE in answer.text
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_reading_is_not_refused_and_not_shown() -> None:
    """A link from elsewhere works; a script from elsewhere learns nothing."""
    for path in ("/", "/v1/models"):
        answer = client_of().get(path, headers={"Origin": ELSEWHERE, "Accept": "text/html"})
        assert answer.status_code == 200
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        (HERE, {"Origin": HERE}),
        (HERE, {"Origin": "http://localhost:8000", "Host": "localhost:8000"}),
        # Behind a proxy with TLS, which keeps the name or changes it.
        (HERE, {"Origin": APP, "Host": "chat.example.com"}),
        (HERE, {"Origin": APP, "Sec_Fetch_Site": "same-origin"}),
        # Under its address or its name in a network.
        ("http://192.168.1.5:8000", {"Origin": "http://192.168.1.5:8000"}),
        ("http://box.example:8000", {"Origin": "http://BOX.example:8000"}),
        (HERE, {"Origin": "http://192.168.1.5", "Host": "192.168.1.5"}),
        # A browser that hides the origin from the server that it comes from.
        (HERE, {"Origin": "null", "Sec_Fetch_Site": "same-origin"}),
        (HERE, {"Sec_Fetch_Site": "none"}),
    ],
)
def test_the_servers_own_page_is_served(url: str, headers: dict[str, str]) -> None:
    """By whatever name the browser knows the server."""
    assert posted(client_of(url=url), **headers) == 200


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:5173", "http://app.localhost",
     "vscode-webview://abc", "tauri://localhost", "app://obsidian.md", "file://"],
)  # fmt: skip
def test_pages_and_programs_of_this_machine_are_served(origin: str) -> None:
    """They may send, and read the answer; an operator who lists others can leave them out."""
    answer = client_of().post(CHAT, json=BODY, headers={"Origin": origin})
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert "Origin" in answer.headers["Vary"]
    assert posted(client_of(APP), Origin=origin) == 403


@pytest.mark.parametrize("allowed", [(APP,), ("localhost", APP), ("*",)])
def test_an_allowed_page_uses_the_api(allowed: tuple[str, ...]) -> None:
    """Its browser asks before it sends headers of a client's, and then may read the answer."""
    client = client_of(*allowed)
    wanted = "authorization,content-type,x-stainless-lang"
    asked = {
        "Origin": APP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": wanted,
    }
    first = client.options(CHAT, headers=asked)
    assert (first.status_code, first.content) == (204, b"")
    assert first.headers["Access-Control-Allow-Origin"] == APP
    assert first.headers["Access-Control-Allow-Headers"] == wanted
    assert "POST" in first.headers["Access-Control-Allow-Methods"]
    headers = {"Origin": APP, "Sec-Fetch-Site": "cross-site"}
    for body, status in ((BODY, 200), ({}, 400)):
        answer = client.post(CHAT, json=body, headers=headers)
        assert answer.status_code == status
        assert answer.headers["Access-Control-Allow-Origin"] == APP
        assert "X-Request-Id" in answer.headers["Access-Control-Expose-Headers"]


def test_all_pages_are_any_page() -> None:
    """With ``*`` nothing is refused, also where a browser does not say which page it is."""
    assert posted(client_of("*"), Sec_Fetch_Site="cross-site") == 200
    assert posted(client_of("*"), Origin="null") == 200


def test_a_question_without_a_request_is_options() -> None:
    """OPTIONS that asks for no headers tells the methods, as ever."""
    answer = client_of(APP).options(CHAT, headers={"Origin": APP})
    assert answer.status_code == 200
    assert "POST" in answer.headers["Allow"]


def test_strange_names_of_headers_are_not_repeated() -> None:
    """What is no list of names is not allowed."""
    asked = {
        "Origin": APP,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "a b;c",
    }
    answer = client_of(APP).options(CHAT, headers=asked)
    assert answer.status_code == 204
    assert "Access-Control-Allow-Headers" not in answer.headers
