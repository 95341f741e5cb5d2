"""The page for everybody: small screens, the keyboard alone, Chinese, dark, screen readers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import expect

from tests.support.chat_page import ChatPage, conversation, exported, said

OpenPage = Callable[..., ChatPage]

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
CODE = """A rainbow forms when sunlight enters raindrops, is **reflected** at their backs, and
leaves them again, each colour at an angle of its own:

1. Red leaves at about 42 degrees.
2. Violet leaves at about 40 degrees.

```python
ANGLES = {"red": 42.4, "violet": 40.6}  # degrees

def width(angles: dict[str, float]) -> float:
    return max(angles.values()) - min(angles.values())
```

So the bow is `width(ANGLES)`, not quite two degrees wide.
"""
STATS = {
    "tokens": 142,
    "perSecond": 61.3,
    "firstToken": 0.18,
    "elapsed": 2.3,
    "prompt": 96,
    "cached": 71,
    "finish": "stop",
}
RAINBOW = conversation(
    "How rainbows form",
    *said("Explain how a rainbow forms.", CODE, thinking="Light, drops.", thinkingMs=2400),
    *said("And how wide is it?", "Not quite **two degrees**, four moons.", stats=STATS),
)


def test_nothing_sticks_out_on_a_phone(open_page: OpenPage) -> None:
    """At 390 pixels nothing has to be scrolled sideways but code in its own box."""
    chat = open_page(**PHONE)
    wide = "x" * 300
    chat.page.set_input_files("#import-file", files=[_file(RAINBOW, ("Wide", f"`{wide}` {wide}"))])
    for title in ("How rainbows form", "Wide"):
        chat.page.get_by_role("button", name="Show chats").click()
        chat.page.get_by_role("link", name=title, exact=True).click()
        chat.answer()
        widths = chat.page.evaluate(
            """() => [document.documentElement, document.getElementById("scroller")]
              .map((e) => [e.scrollWidth, e.clientWidth])"""
        )
        assert all(whole <= seen for whole, seen in widths), title
    chat.page.get_by_role("button", name="Settings").click()
    drawer = chat.page.get_by_role("dialog", name="Settings")
    assert drawer.evaluate("(e) => e.scrollWidth <= e.clientWidth")


def test_the_drawer_of_a_phone(open_page: OpenPage) -> None:
    """The list covers the chat, keeps the focus, and closes with Escape."""
    chat = open_page(**PHONE)
    show = chat.page.get_by_role("button", name="Show chats")
    expect(chat.page.locator("#new-chat")).to_be_hidden()
    show.click()
    expect(chat.page.locator("#sidebar-close")).to_be_focused()
    expect(chat.page.locator("#main")).to_have_attribute("inert", "")
    chat.page.keyboard.press("Escape")
    expect(show).to_be_focused()
    expect(chat.page.locator("#new-chat")).to_be_hidden()


def test_the_keyboard_is_enough(chat: ChatPage) -> None:
    """A chat is begun, answered again, reverted and left without a mouse, the focus always seen."""
    page = chat.page
    expect(page.locator("#prompt")).to_be_focused()
    page.keyboard.type("Say one word.")
    page.keyboard.press("Enter")
    chat.answer()
    expect(page.locator("#prompt")).to_be_focused()
    names = _tab_until(chat, "Answer again", backwards=True)
    assert "Revert to before this message" in names
    page.keyboard.press("Enter")
    expect(chat.last_answer.locator(".versions")).to_contain_text("2/2")
    chat.answer()
    _tab_until(chat, "New chat", backwards=True)
    page.keyboard.press("Enter")
    expect(page.locator("#welcome")).to_be_visible()
    _tab_until(chat, "Settings")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Settings")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Settings")).to_be_focused()


def _tab_until(chat: ChatPage, name: str, *, backwards: bool = False) -> list[str]:
    """Press Tab until a button has the focus; returns the names of all that had it before."""
    names: list[str] = []
    for _ in range(80):
        chat.page.keyboard.press("Shift+Tab" if backwards else "Tab")
        focused: dict[str, Any] = chat.page.evaluate(
            """() => {
              const element = document.activeElement;
              return {
                name: element.getAttribute("aria-label") ?? element.textContent.trim(),
                outline: getComputedStyle(element).outlineStyle,
                tag: element.tagName,
              };
            }"""
        )
        if focused["name"] == name:
            assert focused["outline"] == "solid"
            return names
        if focused["tag"] != "BODY":
            names.append(focused["name"])
    raise AssertionError(f"{name!r} was not reached, but {names}")


def test_an_answer_is_announced_once(chat: ChatPage) -> None:
    """A screen reader hears that an answer is made, then the answer: not each of its tokens."""
    chat.page.evaluate(
        """() => {
          window.heard = [];
          const region = document.getElementById("announcer");
          new MutationObserver(() => window.heard.push(region.textContent))
            .observe(region, { childList: true });
        }"""
    )
    answer = chat.ask("Say one word.")
    heard = chat.page.evaluate("window.heard")
    assert heard[0] == "Answering"
    assert [text.startswith("Answer: ") for text in heard] == [False, True]
    assert answer.split()[0] in heard[1]


def test_the_page_speaks_chinese(open_page: OpenPage) -> None:
    """The browser's language is the page's, in every word; the other one is a click away."""
    chat = open_page(locale="zh-CN")
    page = chat.page
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(page.locator("#prompt")).to_have_attribute("placeholder", "输入消息")
    assert chat.ask("你好")
    expect(chat.button("重新回答")).to_be_visible()
    page.get_by_role("button", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(chat.button("Answer again")).to_be_visible()
    page.reload()
    chat.ready()
    expect(page.locator("#prompt")).to_have_attribute("placeholder", "Write a message")


def test_dark_follows_the_system_or_the_switch(open_page: OpenPage) -> None:
    """The system's choice holds until a person chooses; that is kept."""
    chat = open_page(color_scheme="dark")
    assert _lightness(chat) < 60
    theme = chat.page.locator("#theme")
    theme.click()
    expect(theme).to_have_attribute("aria-label", "Theme: light")
    assert _lightness(chat) > 200
    chat.page.reload()
    chat.ready()
    assert _lightness(chat) > 200


def _lightness(chat: ChatPage) -> int:
    """Return the red of the page's ground, from 0 to 255."""
    colour: int = chat.page.evaluate(
        "Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])"
    )
    return colour


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(open_page: OpenPage, scheme: str, width: int) -> None:
    """Every state of the page passes the rules of axe-core that matter."""
    chat = open_page(
        color_scheme=scheme,
        viewport={"width": width, "height": 844},
        reduced_motion="reduce",
        settings={"jsonMode": "schema", "schema": "{"},
    )
    faults = {"empty": _serious(chat)}
    chat.page.set_input_files("#import-file", files=[_file(RAINBOW, ("Failed", ""))])
    for name in ("How rainbows form", "Failed"):
        if width < 800:
            chat.page.get_by_role("button", name="Show chats").click()
            faults["list"] = _serious(chat)
        chat.page.get_by_role("link", name=name, exact=True).click()
        chat.answer()
        if chat.last_answer.locator("summary").is_visible():
            chat.last_answer.locator("summary").click()
        faults[name] = _serious(chat)
    chat.page.get_by_role("button", name="Settings").click()
    faults["settings"] = _serious(chat)
    assert {state: found for state, found in faults.items() if found} == {}


def _serious(chat: ChatPage) -> list[str]:
    """Return what axe-core calls serious or critical, with the elements."""
    found = Axe().run(chat.page).response["violations"]
    return [
        f"{fault['id']}: {[node['html'][:120] for node in fault['nodes']]}"
        for fault in found
        if fault["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_screenshots(
    open_page: OpenPage, screenshots: Path, pytestconfig: pytest.Config, scheme: str, device: str
) -> None:
    """The page is drawn: pictures for people to look at, with an answer of some length for them."""
    size = {} if device == "desktop" else {**PHONE, "device_scale_factor": 2}
    n_tokens = 320 if pytestconfig.getoption("--screenshots") else 24
    chat = open_page(
        color_scheme=scheme, reduced_motion="reduce", settings={"maxTokens": n_tokens}, **size
    )
    name = f"{device}-{scheme}.png"
    chat.page.screenshot(path=screenshots / f"empty-{name}")
    # What is shown is what the model says, and how fast it was.
    chat.ask("Explain how a rainbow forms, with a short Python code example.")
    chat.page.locator("#prompt").blur()
    chat.page.screenshot(path=screenshots / f"chat-{name}")
    if device == "phone":
        chat.page.get_by_role("button", name="Show chats").click()
        chat.page.screenshot(path=screenshots / f"list-{name}")
        chat.page.keyboard.press("Escape")
    chat.page.get_by_role("button", name="Settings").click()
    chat.page.screenshot(path=screenshots / f"settings-{name}")
    assert all(
        (screenshots / f"{view}-{name}").stat().st_size > 10_000 for view in ("empty", "chat")
    )


def _file(first: dict[str, Any], second: tuple[str, str]) -> Any:
    """Return a file of two conversations; an answer that is empty has failed."""
    title, answer = second
    failure = {"state": "failed", "error": {"message": "The model is gone."}}
    return exported(
        first, conversation(title, *said("Hello", answer, **({} if answer else failure)))
    )
