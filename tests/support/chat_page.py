"""The chat page in a real browser, in the words of what a person does with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page, Request

WAIT_MS = 60_000
# Answers are the same each time, and short.
SETTINGS = {"temperature": 0, "maxTokens": 16, "think": False}
# An answer that goes on until it is stopped, whatever the model would rather say.
ENDLESS_SCHEMA = {"type": "array", "items": {"enum": ["one", "two"]}, "minItems": 500}
ENDLESS = {"maxTokens": 1800, "jsonMode": "schema", "schema": json.dumps(ENDLESS_SCHEMA)}
LONG = "Count for a long time."
_NO_FAULTS = (
    # An answer other than 200 is a line of the console; what it means is on the page.
    "Failed to load resource",
    # A header that counts where the page came over TLS only, and does no harm elsewhere.
    "The Cross-Origin-Opener-Policy header has been ignored",
)


class ChatPage:
    """One tab.

    Args:
        page: a new page of a browser.
        url: the server's address.
        settings: what the person has set before.
    """

    def __init__(self, page: Page, url: str, **settings: Any) -> None:
        self.page = page
        self.url = url
        self.faults: list[str] = []
        """What the browser complained of: errors of scripts, refusals by the page's policy."""
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda message: self._listen(message.type, message.text))
        kept = json.dumps(json.dumps({**SETTINGS, **settings}))
        page.add_init_script(
            f"localStorage.getItem('pyllama.settings') ?? "
            f"localStorage.setItem('pyllama.settings', {kept})"
        )

    def open(self) -> ChatPage:
        """Go to the page and wait until it can be used."""
        self.page.goto(self.url)
        return self.ready()

    def ready(self) -> ChatPage:
        """Wait until the page can be used."""
        self.page.wait_for_selector("html[data-ready]")
        self.page.wait_for_selector("#model-dot.is-ready")
        return self

    def write(self, text: str) -> None:
        """Send a message; returns at once."""
        self.page.fill("#prompt", text)
        self.page.press("#prompt", "Enter")

    def ask(self, text: str) -> str:
        """Send a message and return the whole answer."""
        self.write(text)
        return self.answer()

    def answer(self) -> str:
        """Wait until the last answer is whole and rendered; returns its text."""
        self.page.wait_for_selector("#stop", state="hidden")
        last = self.last_answer
        last.locator(".message-foot").wait_for()
        prose = last.locator(":scope > .prose")
        if prose.is_visible():
            self.page.wait_for_selector("#messages > :last-child > .prose[aria-busy=false]")
        return prose.inner_text() if prose.is_visible() else ""

    @property
    def last_answer(self) -> Locator:
        """The last message, which is the model's."""
        return self.page.locator("#messages > .assistant:last-child")

    @property
    def messages(self) -> list[str]:
        """What both sides said, as far as it is shown."""
        return self.page.locator("#messages .bubble, #messages > li > .prose").all_inner_texts()

    @property
    def is_answering(self) -> bool:
        """Whether an answer is in the making."""
        return self.page.locator("#stop").is_visible()

    def length_after(self, length: int) -> int:
        """Wait until the answer in the making is longer than that; returns its length."""
        handle = self.page.wait_for_function(
            """(length) => {
              const text = document.querySelector("#messages > [aria-busy=true] > .prose");
              return text && text.textContent.length > length && text.textContent.length;
            }""",
            arg=length,
        )
        grown: int = handle.json_value()
        return grown

    def button(self, name: str) -> Locator:
        """A button of the last message."""
        return self.page.locator("#messages > :last-child").get_by_role(
            "button", name=name, exact=True
        )

    def titles(self) -> list[str]:
        """The conversations in the sidebar."""
        return self.page.locator("#conversations a").all_inner_texts()

    def take(self, *conversations: dict[str, Any]) -> None:
        """Import conversations, and open the first."""
        self.page.set_input_files("#import-file", files=[exported(*conversations)])
        self.page.get_by_role("link", name=conversations[0]["title"], exact=True).click()

    def attach(self, *paths: Path) -> None:
        """Attach files by the button, and wait until the server has them."""
        self.page.set_input_files("#attach-file", paths)
        self.page.wait_for_selector(".chip")

    def _listen(self, kind: str, text: str) -> None:
        if kind == "error" and not text.startswith(_NO_FAULTS):
            self.faults.append(text)


def sent_body(request: Request) -> dict[str, Any]:
    """Return the JSON object that the page sent."""
    body: Any = request.post_data_json
    assert isinstance(body, dict)
    return body


def conversation(title: str, *messages: dict[str, Any]) -> dict[str, Any]:
    """Return a conversation as it is exported: its messages one after the other."""
    nodes, selected, parent = {}, {}, "root"
    for index, message in enumerate(messages):
        node_id = f"{title}-{index}"
        nodes[node_id] = {"id": node_id, "parent": parent, "created": index + 1, **message}
        selected[parent] = parent = node_id
    return {
        "id": f"id-{title}",
        "title": title,
        "created": 1,
        "updated": 1_700_000_000_000,
        "nodes": nodes,
        "selected": selected,
    }


def exported(*conversations: dict[str, Any]) -> Any:
    """Return a file of conversations, as a file input takes it."""
    data = {"format": "pyllama.conversations", "version": 1, "conversations": conversations}
    return {
        "name": "chats.json",
        "mimeType": "application/json",
        "buffer": json.dumps(data).encode(),
    }


def said(user: str, assistant: str, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a question and its answer, the messages of a conversation."""
    return (
        {"role": "user", "content": user},
        {"role": "assistant", "content": assistant, "state": "done", **more},
    )
