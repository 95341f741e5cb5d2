"""A chat in the browser: answers stream, stop, and come in versions."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from playwright.sync_api import expect

from tests.support.chat_page import ENDLESS, ENDLESS_SCHEMA, LONG, ChatPage
from tests.support.serving import Server, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser


def test_an_answer_grows_as_it_is_made(open_page: Callable[..., ChatPage]) -> None:
    """The text is there long before it is whole, and its figures when it is."""
    chat = open_page(settings={**ENDLESS, "maxTokens": 120})
    chat.write(LONG)
    lengths = [0]
    for _ in range(3):
        lengths.append(chat.length_after(lengths[-1]))
    assert chat.is_answering
    assert len(chat.answer()) >= lengths[-1]
    stats = chat.last_answer.locator(".stats").inner_text()
    assert re.search(r"[\d,]+ tokens · [\d.]+ tokens/s · first after [\d.]+ s · \d+ of \d+", stats)


def test_stop_keeps_what_was_said(open_page: Callable[..., ChatPage]) -> None:
    """A stopped answer stays as far as it came, and frees its slot at once."""
    chat = open_page(settings=ENDLESS)
    chat.write(LONG)
    length = chat.length_after(0)
    chat.page.get_by_role("button", name="Stop", exact=True).click()
    assert len(chat.answer()) >= length
    expect(chat.last_answer.locator(".remark")).to_have_text("You stopped this answer.")
    expect(chat.page.locator("#queue")).to_be_hidden()
    expect(chat.page.locator("#prompt")).to_be_focused()


def test_escape_stops(open_page: Callable[..., ChatPage]) -> None:
    """No hand has to leave the keyboard to stop an answer."""
    chat = open_page(settings=ENDLESS)
    chat.write(LONG)
    chat.length_after(0)
    chat.page.keyboard.press("Escape")
    chat.answer()
    expect(chat.last_answer.locator(".remark")).to_be_visible()


def test_the_next_turn_knows_the_last(chat: ChatPage) -> None:
    """A second message is sent with the first, whose tokens the server finds in its cache."""
    first = chat.ask("Name a colour.")
    chat.ask("And another one.")
    stats = chat.last_answer.locator(".stats").inner_text()
    cached, whole = map(int, re.findall(r"(\d+) of (\d+)", stats)[0])
    assert 0 < cached < whole
    assert chat.messages[:2] == ["Name a colour.", first]


def test_an_edit_makes_another_version(chat: ChatPage) -> None:
    """An edited message is answered anew; the former one comes back with its answer."""
    first = chat.ask("Say one word.")
    chat.page.locator(".message.user").hover()
    chat.page.get_by_role("button", name="Edit", exact=True).click()
    area = chat.page.get_by_role("textbox", name="Edit the message")
    expect(area).to_have_value("Say one word.")
    area.fill("Name two animals.")
    chat.page.get_by_role("button", name="Save and send").click()
    second = chat.answer()
    assert chat.messages == ["Name two animals.", second]
    chat.page.get_by_role("button", name="Former version").click()
    expect(chat.page.locator(".bubble")).to_have_text("Say one word.")
    assert chat.messages == ["Say one word.", first]
    chat.page.get_by_role("button", name="Later version").click()
    expect(chat.page.locator(".bubble")).to_have_text("Name two animals.")


def test_leaving_an_edit_changes_nothing(chat: ChatPage) -> None:
    """Escape leaves the edit, not the answer."""
    chat.ask("Say one word.")
    before = chat.messages
    chat.page.locator(".message.user").hover()
    chat.page.get_by_role("button", name="Edit", exact=True).click()
    chat.page.get_by_role("textbox", name="Edit the message").fill("Other")
    chat.page.keyboard.press("Escape")
    assert chat.messages == before
    expect(chat.page.get_by_role("button", name="Edit", exact=True)).to_be_focused()


def test_answering_again_keeps_the_former_answer(chat: ChatPage) -> None:
    """Each answer to a message is a version of it."""
    chat.ask("Say one word.")
    chat.button("Answer again").click()
    expect(chat.last_answer.locator(".versions")).to_contain_text("2/2")
    chat.answer()
    chat.button("Former version").click()
    expect(chat.last_answer.locator(".versions")).to_contain_text("1/2")


def test_revert_sets_messages_aside(chat: ChatPage) -> None:
    """What follows a message goes with it, and comes back when it is wanted."""
    chat.ask("Say one word.")
    chat.ask("Say another word.")
    before = chat.messages
    second = chat.page.locator(".message.user").nth(1)
    second.hover()
    second.get_by_role("button", name="Revert to before this message").click()
    expect(chat.page.locator("#set-aside")).to_contain_text("2 messages were set aside.")
    assert chat.messages == before[:2]
    chat.page.reload()
    chat.ready()
    chat.page.get_by_role("button", name="Bring back").click()
    expect(chat.page.locator(".message")).to_have_count(4)
    expect(chat.page.locator("#set-aside")).to_be_hidden()


def test_copying_an_answer(open_page: Callable[..., ChatPage]) -> None:
    """The clipboard gets the text as the model wrote it."""
    chat = open_page(
        permissions=["clipboard-read", "clipboard-write"],
        settings={"jsonMode": "schema", "schema": '{"const": "so **bold**"}'},
    )
    chat.ask("Hello")
    chat.button("Copy").click()
    expect(chat.button("Copied")).to_be_visible()
    assert chat.page.evaluate("navigator.clipboard.readText()") == '"so **bold**"'


def test_enter_in_a_composition_sends_nothing(chat: ChatPage) -> None:
    """Enter that chooses a character belongs to the input method; Shift and Enter make a line."""
    chat.page.fill("#prompt", "ni hao")
    event: dict[str, Any] = {"key": "Enter", "bubbles": True, "cancelable": True}
    chat.page.dispatch_event("#prompt", "keydown", {**event, "isComposing": True})
    chat.page.press("#prompt", "Shift+Enter")
    expect(chat.page.locator("#prompt")).to_have_value("ni hao\n")
    expect(chat.page.locator(".message")).to_have_count(0)


def test_reading_above_is_not_disturbed(open_page: Callable[..., ChatPage]) -> None:
    """Who scrolls up stays there while the answer goes on, and has a button to the latest."""
    chat = open_page(settings=ENDLESS, viewport={"width": 800, "height": 420})
    chat.write(LONG)
    length = chat.length_after(500)
    chat.page.locator("#scroller").evaluate("(e) => { e.scrollTop = 0; }")
    expect(chat.page.locator("#to-latest")).to_be_visible()
    chat.length_after(length + 100)
    assert chat.page.locator("#scroller").evaluate("(e) => e.scrollTop") == 0
    chat.page.locator("#to-latest").click()
    expect(chat.page.locator("#to-latest")).to_be_hidden()
    chat.page.keyboard.press("Escape")
    chat.answer()


SLOTS = 2


def test_the_place_in_the_queue_is_told(open_page: Callable[..., ChatPage], server: Server) -> None:
    """With every slot taken a message says how many are ahead, and is answered in its turn."""
    chat = open_page()
    body = {
        "messages": [{"role": "user", "content": LONG}],
        "jsonSchema": ENDLESS_SCHEMA,
        "maxTokens": 1800,
    }
    with httpx.Client(base_url=server.url, timeout=60) as client, contextlib.ExitStack() as busy:
        for _ in range(SLOTS):
            response = busy.enter_context(client.stream("POST", "/api/chat", json=body))
            assert response.status_code == 200
        chat.write("Say one word.")
        expect(chat.last_answer.locator(".waiting")).to_have_text(
            re.compile("Next in line|In line: 2 requests ahead")
        )
        expect(chat.page.locator("#queue")).to_have_text("1 waiting")
    assert chat.answer()


def test_two_tabs_stream_at_once(open_page: Callable[..., ChatPage]) -> None:
    """Two tabs of one browser get their answers side by side, each its own."""
    first = open_page(settings=ENDLESS)
    second = ChatPage(first.page.context.new_page(), first.url).open()
    first.write(LONG)
    second.write("Count from ten to ninety in words.")
    # Both grow while both run: one after the other would not.
    for _ in range(2):
        lengths = [tab.length_after(0) for tab in (first, second)]
        for tab, length in zip((first, second), lengths, strict=True):
            tab.length_after(length)
    assert first.is_answering
    assert second.is_answering
    for tab in (first, second):
        tab.page.bring_to_front()
        tab.page.keyboard.press("Escape")
        tab.answer()
    assert sorted(first.titles()) == sorted([LONG, "Count from ten to ninety in words."])
    assert second.faults == []


@pytest.mark.parametrize("is_running", [False, True], ids=["before", "during"])
def test_a_lost_server_is_told_and_tried_again(
    browser: Browser, server_environ: dict[str, str], *, is_running: bool
) -> None:
    """A server that goes away is an error with a way out, and the banner goes when it is back."""
    arguments = ("-c", "python:wsgi.gunicorn_conf", "wsgi:app")
    port = free_port()
    page = browser.new_context(locale="en-GB").new_page()
    with Server(*arguments, environ=server_environ, port=port) as server:
        chat = ChatPage(page, server.ready().url, **ENDLESS).open()
        if is_running:
            chat.write(LONG)
            chat.length_after(0)
    if not is_running:
        chat.write("Say one word.")
    trouble = chat.last_answer.locator(".trouble")
    # A server that is told to stop may get to say so.
    said = "The connection to the server was lost.|the model was closed"
    expect(trouble).to_contain_text(re.compile(said))
    expect(page.locator("#banner")).to_contain_text("No connection to the server.")
    with Server(*arguments, environ=server_environ, port=port) as server:
        server.ready()
        expect(page.locator("#banner")).to_be_hidden(timeout=20_000)
        trouble.get_by_role("button", name="Try again").click()
        chat.length_after(0)
        page.context.close()
