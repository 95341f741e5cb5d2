"""The page over plain HTTP from another machine, where browsers close some of their interfaces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PLAIN_NAME
from tests.support.chat_page import ChatPage, conversation, said
from tests.support.other_machine import NoNetwork, other_machine
from tests.support.serving import Server, free_port

OpenPage = Callable[..., ChatPage]

APP = ("-c", "python:wsgi.gunicorn_conf", "wsgi:app")
CODE = "Run this:\n\n```sh\nls -l |\n  wc\n```\n"


@pytest.fixture(scope="module", params=["address", "name"])
def url(request: pytest.FixtureRequest, server_environ: dict[str, str]) -> Iterator[str]:
    """Where a browser finds the server: at another machine's address, or by a name of this one.

    The first is what ``--host 0.0.0.0`` is for. A server that listens on this machine alone has to
    be told what other names it has.
    """
    if request.param == "address":
        try:
            # All the addresses that the other machine has, which are one and its own.
            environ = {**server_environ, "LLAMA_ARG_HOST": "0.0.0.0"}  # noqa: S104
            with (
                other_machine() as machine,
                Server(*APP, environ=environ, machine=machine) as server,
            ):
                yield server.ready().url
        except NoNetwork as reason:
            pytest.skip(str(reason))
        return
    port = free_port()
    found = f"http://{PLAIN_NAME}:{port}"
    environ = {**server_environ, "LLAMA_ARG_CORS_ORIGINS": found}
    with Server(*APP, environ=environ, port=port) as server:
        server.ready()
        yield found


@pytest.fixture
def plain(open_page: OpenPage, url: str) -> ChatPage:
    """The page from there; the browser does not trust the way that it came."""
    chat = open_page(url=url)
    assert chat.page.evaluate("isSecureContext") is False
    kinds = chat.page.evaluate("[typeof crypto.randomUUID, typeof navigator.clipboard]")
    assert kinds == ["undefined", "undefined"]
    return chat


def pasted(chat: ChatPage) -> str:
    """Return what the clipboard has, as a person finds out."""
    chat.page.fill("#prompt", "")
    chat.page.press("#prompt", "Control+v")
    return chat.page.input_value("#prompt")


def test_a_chat_is_answered_and_kept(plain: ChatPage) -> None:
    """Messages are sent, edited and answered anew, and all of it is there after a reload."""
    assert plain.ask("Say a word.")
    plain.button("Answer again").click()
    assert plain.answer()
    question = plain.page.locator(".message.user")
    question.hover()
    question.get_by_role("button", name="Edit").click()
    plain.page.get_by_label("Edit the message").fill("Say two words.")
    plain.page.get_by_role("button", name="Save and send").click()
    assert plain.answer()
    before = plain.messages
    assert before[0] == "Say two words."
    plain.page.reload()
    plain.ready()
    assert plain.messages == before
    plain.page.get_by_role("button", name="New chat").click()
    assert plain.ask("Say three words.")
    assert sorted(plain.titles()) == ["Say a word.", "Say three words."]


def test_a_file_is_attached(plain: ChatPage, tmp_path: Path) -> None:
    """Its text goes to the model."""
    path = tmp_path / "notes.txt"
    path.write_text("Cats are small.", "utf-8")
    plain.attach(path)
    with plain.page.expect_request("**/api/chat") as sent:
        plain.write("What are cats?")
    assert "Cats are small." in str(sent.value.post_data)


def test_what_is_copied_can_be_pasted(plain: ChatPage, screenshots: Path) -> None:
    """Answers and code reach the clipboard as they were written, and the button keeps the focus."""
    plain.take(conversation("Code", *said("How?", CODE)))
    plain.last_answer.hover()
    plain.button("Copy").click()
    expect(plain.button("Copied")).to_be_focused()
    assert pasted(plain) == CODE
    code = plain.last_answer.locator(".code-box")
    code.get_by_role("button", name="Copy code").click()
    expect(code).to_contain_text("Copied")
    plain.page.screenshot(path=screenshots / "plain-http.png")
    assert pasted(plain) == "ls -l |\n  wc\n"
    expect(plain.page.locator(".notice.is-error")).to_have_count(0)
