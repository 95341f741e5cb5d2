"""Conversations stay in the browser: found again, renamed, deleted, exported and imported."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.chat_page import ENDLESS, LONG, ChatPage, conversation, exported, said

OpenPage = Callable[..., ChatPage]

CATS = conversation("Cats", *said("Do cats purr?", "They do."))
DOGS = conversation("Dogs", *said("Do dogs bark?", "They do, *loudly*."))


def test_a_reload_keeps_the_conversation(chat: ChatPage) -> None:
    """After a reload the same conversation is open, with all that was said."""
    chat.ask("Say one word.")
    before, address = chat.messages, chat.page.url
    chat.page.reload()
    chat.ready()
    chat.answer()
    assert (chat.messages, chat.page.url, chat.titles()) == (before, address, ["Say one word."])


def test_a_reload_in_an_answer_keeps_its_beginning(open_page: OpenPage) -> None:
    """What had come when the page was closed is there, and is said to be a part."""
    chat = open_page(settings=ENDLESS)
    chat.write(LONG)
    chat.length_after(200)
    chat.page.wait_for_timeout(1200)
    chat.page.reload()
    chat.ready()
    assert len(chat.answer()) > 0
    expect(chat.last_answer.locator(".remark")).to_have_text("This answer was interrupted.")


def test_each_chat_has_its_address(chat: ChatPage) -> None:
    """The browser's way back leads to the conversation before."""
    chat.ask("Say one word.")
    chat.page.get_by_role("button", name="New chat").click()
    expect(chat.page.locator("#welcome")).to_be_visible()
    chat.ask("Name a colour.")
    chat.page.go_back()
    chat.page.go_back()
    expect(chat.page.locator(".bubble")).to_have_text("Say one word.")


def test_search_looks_into_messages(chat: ChatPage) -> None:
    """A word of any message finds its conversation; how many were found is announced."""
    chat.take(CATS, DOGS)
    search = chat.page.get_by_role("searchbox", name="Search chats")
    search.fill("LOUDLY")
    expect(chat.page.locator("#conversations a")).to_have_text(["Dogs"])
    expect(chat.page.locator("#announcer")).to_have_text("1 chat found")
    search.fill("nowhere")
    expect(chat.page.locator("#no-conversations")).to_have_text("Nothing found")
    search.fill("")
    expect(chat.page.locator("#conversations a")).to_have_count(2)


def test_rename_and_delete(chat: ChatPage) -> None:
    """Another title stays, Escape changes nothing, and a deleted chat is gone after a reload."""
    chat.take(CATS, DOGS)
    page = chat.page
    page.get_by_role("button", name="Rename “Cats”").press("Enter")
    page.get_by_role("textbox", name="New name").fill("Lions")
    page.keyboard.press("Enter")
    expect(page.locator("#title")).to_have_text("Lions")
    page.get_by_role("button", name="Rename “Dogs”").press("Enter")
    page.get_by_role("textbox", name="New name").fill("Wolves")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete “Lions”").press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.locator("#conversations a")).to_have_count(2)
    page.get_by_role("button", name="Delete “Lions”").press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#conversations a")).to_have_text(["Dogs"])
    expect(page.locator("#welcome")).to_be_visible()
    page.reload()
    assert chat.ready().titles() == ["Dogs"]


def test_another_tab_sees_what_this_one_does(chat: ChatPage) -> None:
    """A chat that one tab has is in the other's list, and goes from it when it is deleted."""
    other = ChatPage(chat.page.context.new_page(), chat.url).open()
    chat.ask("Say one word.")
    expect(other.page.locator("#conversations a")).to_have_text(["Say one word."])
    other.page.get_by_role("button", name="Delete “Say one word.”").press("Enter")
    other.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(chat.page.locator("#welcome")).to_be_visible()
    assert chat.titles() == []


def test_what_is_exported_can_be_imported(open_page: OpenPage, tmp_path: Path) -> None:
    """Another browser gets every conversation with all of its versions."""
    chat = open_page()
    chat.ask("Say one word.")
    chat.button("Answer again").click()
    expect(chat.last_answer.locator(".versions")).to_contain_text("2/2")
    chat.answer()
    with chat.page.expect_download() as download:
        chat.page.get_by_role("button", name="Export all chats").click()
    path = tmp_path / "chats.json"
    download.value.save_as(path)
    assert json.loads(path.read_text(encoding="utf-8"))["format"] == "pyllama.conversations"
    other = open_page()
    other.page.set_input_files("#import-file", path)
    other.page.get_by_role("link", name="Say one word.").click()
    other.answer()
    assert other.messages == chat.messages
    expect(other.last_answer.locator(".versions")).to_contain_text("2/2")
    # Importing it twice makes nothing twice.
    other.page.set_input_files("#import-file", path)
    expect(other.page.get_by_text("1 chat imported")).to_have_count(2)
    assert other.titles() == ["Say one word."]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no json", "JSON"),
        (b"[]", "pyllama.conversations"),
        (exported({**CATS, "title": 5})["buffer"], "5 is no text"),
        (exported({**CATS, "nodes": {"x": {"role": "system"}}})["buffer"], 'role "system"'),
    ],
    ids=["text", "other", "type", "role"],
)
def test_a_wrong_file_is_refused(chat: ChatPage, data: bytes, reason: str) -> None:
    """A file that is no export says why, and changes nothing."""
    file: Any = {"name": "x.json", "mimeType": "application/json", "buffer": data}
    chat.page.set_input_files("#import-file", files=[file])
    expect(chat.page.get_by_role("alert")).to_contain_text("This file holds no exported chats")
    expect(chat.page.get_by_role("alert")).to_contain_text(reason)
    assert chat.titles() == []


def test_a_full_browser_is_told(chat: ChatPage) -> None:
    """Where the browser has no more room the chat goes on, and says that it is not kept."""
    session = chat.page.context.new_cdp_session(chat.page)
    session.send("Storage.overrideQuotaForOrigin", {"origin": chat.url, "quotaSize": 1})
    assert chat.ask("Say one word.")
    expect(chat.page.get_by_role("alert")).to_contain_text("The browser has no more room")
    chat.faults.clear()
