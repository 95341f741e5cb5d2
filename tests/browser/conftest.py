"""Chromium, a real gunicorn over the real model, and the chat page between them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.chat_page import ChatPage
from tests.support.serving import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = Path(__file__).parent
SLOTS = 2
PLAIN_NAME = "chat.test"
"""A name of this machine that browsers do not take for one: what it serves without TLS could come
from anywhere, and some of the browser's interfaces are closed to it."""


class OpenPage(Protocol):
    """Opens the page in a browser profile of its own."""

    def __call__(
        self, *, settings: dict[str, Any] | None = None, url: str | None = None, **context: Any
    ) -> ChatPage:
        """Return the page, ready.

        Args:
            settings: what the person has set before.
            url: the address of another server than the usual one.
            **context: options of Playwright's ``new_context``.
        """


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is in this folder: all of it needs the model, a server and a browser."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            for mark in ("e2e", "model"):
                item.add_marker(mark)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium, or the one that PLAYWRIGHT_CHROMIUM names.

    For one module: while it is open, Playwright's event loop runs in this thread, where tests of
    other modules start their own.
    """
    path = os.environ.get("PLAYWRIGHT_CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium: install it, or name one in PLAYWRIGHT_CHROMIUM")
    # Chromium's own sandbox cannot be had as root, as which containers run.
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        arguments = [f"--host-resolver-rules=MAP {PLAIN_NAME} 127.0.0.1"]
        browser = playwright.chromium.launch(
            executable_path=path, args=[*arguments, "--no-sandbox"] if is_root else arguments
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server_environ(model_path: Path) -> dict[str, str]:
    """The settings of a server with two slots: a third request has to wait."""
    return {
        "LLAMA_ARG_MODEL": str(model_path),
        "LLAMA_ARG_CTX_SIZE": str(SLOTS * 2048),
        "LLAMA_ARG_N_PARALLEL": str(SLOTS),
        "LLAMA_ARG_THREADS": "1",
    }


@pytest.fixture(scope="session")
def server(server_environ: dict[str, str]) -> Iterator[Server]:
    """That server."""
    with Server("-c", "python:wsgi.gunicorn_conf", "wsgi:app", environ=server_environ) as server:
        yield server.ready()


@pytest.fixture
def open_page(browser: Browser, server: Server) -> Iterator[OpenPage]:
    """What opens the page; at the end the browser must not have complained of anything."""
    opened: list[ChatPage] = []

    def open_page(
        *, settings: dict[str, Any] | None = None, url: str | None = None, **context: Any
    ) -> ChatPage:
        made = browser.new_context(
            **{"viewport": {"width": 1280, "height": 800}, "locale": "en-GB", **context}
        )
        opened.append(ChatPage(made.new_page(), url or server.url, **(settings or {})))
        return opened[-1].open()

    yield open_page
    for chat in opened:
        chat.page.context.close()
    assert [chat.faults for chat in opened if chat.faults] == []


@pytest.fixture
def chat(open_page: OpenPage) -> ChatPage:
    """The page as a person finds it the first time."""
    return open_page()


@pytest.fixture
def screenshots(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where screenshots go: the folder that --screenshots names, else one that is thrown away."""
    folder = request.config.getoption("--screenshots")
    path = Path(folder) if folder else tmp_path
    path.mkdir(parents=True, exist_ok=True)
    return path
