"""Pages of other origins in a real browser: what it lets them do with the server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page

from tests.support.serving import Server

# What OpenAI's client sends where it is allowed to run in a browser: not without being asked for.
ASK = """async (url) => {
  const headers = {
    "Content-Type": "application/json", Authorization: "Bearer x", "X-Stainless-Lang": "js",
  };
  const messages = [{ role: "user", content: "Hi" }];
  const body = JSON.stringify({ messages, max_tokens: 3 });
  try {
    const answer = await fetch(url, { method: "POST", headers, body });
    return [answer.status, (await answer.json()).object, answer.headers.get("x-request-id")];
  } catch (error) {
    return [error.name];
  }
}"""
# What any page can send without being asked for; of the answer it sees nothing.
POST = """async (url) => {
  const body = JSON.stringify({ messages: [{ role: "user", content: "Hi" }], max_tokens: 3 });
  await fetch(url, { method: "POST", mode: "no-cors", body }).catch(() => null);
}"""


class EmptyPage(BaseHTTPRequestHandler):
    """Serves one."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html>")

    def log_message(self, *_: object) -> None:
        """Write nothing to the terminal."""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that another port of this machine serves."""
    with ThreadingHTTPServer(("127.0.0.1", 0), EmptyPage) as web:
        web.daemon_threads = True
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        page = browser.new_page()
        page.goto(f"http://localhost:{web.server_port}/")
        yield page
        page.close()
        web.shutdown()
        thread.join()


def test_a_page_of_this_machine_uses_the_api(page: Page, server: Server) -> None:
    """A program under development sends headers of its own and reads the answer."""
    status, kind, request_id = page.evaluate(ASK, f"{server.url}/v1/chat/completions")
    assert (status, kind) == (200, "chat.completion")
    server.logged(f"request_id={request_id}")


def test_a_page_that_is_not_allowed_does_nothing(
    page: Page, server_environ: dict[str, str]
) -> None:
    """It neither reads an answer nor makes the server compute one."""
    environ = {**server_environ, "LLAMA_ARG_CORS_ORIGINS": "https://chat.example.com"}
    with Server("-c", "python:wsgi.gunicorn_conf", "wsgi:app", environ=environ) as server:
        server.ready()
        assert page.evaluate(ASK, f"{server.url}/v1/chat/completions") == ["TypeError"]
        page.evaluate(POST, f"{server.url}/v1/chat/completions")
        server.logged("method=POST route=- status=403")
        assert "status=200" not in server.log
