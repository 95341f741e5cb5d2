"""Attached files: by the button, dropped and pasted; and what a model without eyes says of them."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.support.chat_page import ChatPage, sent_body

OpenPage = Callable[..., ChatPage]

_TRANSFER = """(page, [name, type, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
"""
_DROP = (
    _TRANSFER
    + """for (const kind of ["dragover", "drop"]) page.dispatchEvent(
    new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""
)
_PASTE = (
    _TRANSFER
    + """page.dispatchEvent(
    new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true }));
}"""
)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A picture of one colour."""
    path = tmp_path / "red.png"
    Image.new("RGB", (64, 48), "red").save(path)
    return path


def give(chat: ChatPage, way: str, path: Path) -> None:
    """Attach a picture in one of the ways."""
    if way == "button":
        with chat.page.expect_file_chooser() as chooser:
            chat.page.get_by_role("button", name="Attach files").click()
        chooser.value.set_files(path)
        return
    data = [path.name, "image/png", base64.b64encode(path.read_bytes()).decode()]
    chat.page.locator("#prompt").evaluate(_DROP if way == "drop" else _PASTE, data)


@pytest.mark.parametrize("way", ["button", "drop", "paste"])
def test_a_picture_is_attached(chat: ChatPage, picture: Path, way: str) -> None:
    """However it comes, a picture is uploaded and seen small; it can be taken back."""
    give(chat, way, picture)
    chip = chat.page.locator(".chip")
    expect(chip).to_contain_text("red.png")
    expect(chip.locator("small")).to_contain_text("byte")
    assert chip.locator("img").evaluate("(image) => image.naturalWidth") == 64
    expect(chat.page.locator("#drop-hint")).to_be_hidden()
    chat.page.get_by_role("button", name="Remove red.png").click()
    expect(chip).to_have_count(0)


def test_a_model_without_eyes_says_so(chat: ChatPage, picture: Path) -> None:
    """The message keeps its picture after a reload; the server's refusal can be read."""
    give(chat, "button", picture)
    expect(chat.page.locator(".chip small")).to_contain_text("byte")
    chat.write("What is this?")
    expect(chat.last_answer.locator(".trouble")).to_contain_text("text only")
    chat.page.reload()
    chat.ready()
    expect(chat.page.get_by_role("img", name="red.png")).to_be_visible()
    # The server's name for the file was this visit's: it is uploaded again.
    with chat.page.expect_request("**/api/upload"):
        chat.last_answer.get_by_role("button", name="Try again").click()
    expect(chat.last_answer.locator(".versions")).to_contain_text("2/2")
    expect(chat.last_answer.locator(".trouble")).to_contain_text("text only")


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
