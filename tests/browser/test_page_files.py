"""Attached files: by the button, dropped and pasted; and what a model without eyes says of them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.support.chat_page import ChatPage, sent_body
from tests.support.page_files import attach_picture, coloured


@pytest.mark.parametrize("way", ["button", "drop", "paste"])
def test_a_model_without_eyes_says_so_at_once(chat: ChatPage, tmp_path: Path, way: str) -> None:
    """However a picture comes, it is seen small, marked, and not even uploaded."""
    urls: list[str] = []
    chat.page.on("request", lambda sent: urls.append(sent.url))
    attach_picture(chat, way, coloured(tmp_path, "red"))
    chip = chat.page.locator(".chip.is-faulty")
    expect(chip).to_contain_text("red.png")
    expect(chip).to_contain_text("This model cannot see pictures.")
    expect(chat.page.locator("#announcer")).to_contain_text("cannot see pictures")
    assert chip.locator("img").evaluate("(image) => image.naturalWidth") == 64
    expect(chat.page.locator("#drop-hint")).to_be_hidden()
    chat.page.fill("#prompt", "What is this?")
    expect(chat.page.locator("#send")).to_have_attribute("aria-disabled", "true")
    chat.page.get_by_role("button", name="Remove red.png").click()
    expect(chat.page.locator(".chip")).to_have_count(0)
    expect(chat.page.locator("#send")).to_have_attribute("aria-disabled", "false")
    assert not [url for url in urls if "api/upload" in url]


def test_a_text_is_sent_with_the_question(chat: ChatPage, tmp_path: Path) -> None:
    """A text file stands before the question, and needs none."""
    path = tmp_path / "note.txt"
    path.write_text("The meeting is at noon.", encoding="utf-8")
    chat.attach(path)
    expect(chat.page.locator(".chip small")).to_contain_text("byte")
    with chat.page.expect_request("**/api/chat") as sent:
        chat.page.get_by_role("button", name="Send").click()
    content = sent_body(sent.value)["messages"][-1]["content"]
    assert content.startswith("[File: note.txt]\nThe meeting is at noon.\n[End of file]\n\n")
    assert chat.answer()
    expect(chat.page.locator(".file")).to_have_text("note.txt")
    assert chat.titles() == ["note.txt"]


def test_a_long_text_is_cut_and_told(chat: ChatPage, tmp_path: Path) -> None:
    """What does not fit is left out, and the person knows how much is in."""
    path = tmp_path / "long.txt"
    path.write_text("many words " * 3000, encoding="utf-8")
    chat.attach(path)
    expect(chat.page.locator(".chip small")).to_contain_text("Cut to its first 1024 of")


@pytest.mark.parametrize(
    ("name", "content"), [("empty.png", b""), ("x.bin", bytes(range(256)))], ids=["empty", "binary"]
)
def test_a_refused_file_says_why(chat: ChatPage, tmp_path: Path, name: str, content: bytes) -> None:
    """A file that the server does not take is marked, and holds back the message until removed."""
    path = tmp_path / name
    path.write_bytes(content)
    chat.attach(path)
    expect(chat.page.locator(".chip.is-faulty")).to_contain_text(name)
    expect(chat.page.locator("#announcer")).to_contain_text(name)
    chat.page.fill("#prompt", "Hello")
    expect(chat.page.locator("#send")).to_have_attribute("aria-disabled", "true")
    chat.page.get_by_role("button", name=f"Remove {name}").click()
    expect(chat.page.locator("#send")).to_have_attribute("aria-disabled", "false")


def test_a_picture_of_no_size_stays_a_file(chat: ChatPage, tmp_path: Path) -> None:
    """A picture that the browser cannot show is refused by the server, not by a broken page."""
    whole = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(whole, "PNG")
    path = tmp_path / "half.png"
    path.write_bytes(whole.getvalue()[:30])
    chat.attach(path)
    expect(chat.page.locator(".chip.is-faulty")).to_contain_text("half.png")
