"""Files for the chat page, and the ways in which a person gives it one."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.chat_page import ChatPage

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


def coloured(folder: Path, color: str) -> Path:
    """Make a picture of one colour, which is its name."""
    path = folder / f"{color}.png"
    Image.new("RGB", (64, 48), color).save(path)
    return path


def attach_picture(chat: ChatPage, way: str, path: Path) -> None:
    """Attach a picture by the button, drop it, or paste it."""
    if way == "button":
        with chat.page.expect_file_chooser() as chooser:
            chat.page.get_by_role("button", name="Attach files").click()
        chooser.value.set_files(path)
        return
    data = [path.name, "image/png", base64.b64encode(path.read_bytes()).decode()]
    chat.page.locator("#prompt").evaluate(_DROP if way == "drop" else _PASTE, data)
