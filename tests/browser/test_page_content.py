"""What a model writes: Markdown and code are rendered, and nothing of it is ever run."""

from __future__ import annotations

import json
from collections.abc import Callable

from playwright.sync_api import expect

from tests.support.chat_page import ChatPage, conversation, said

OpenPage = Callable[..., ChatPage]

MARKDOWN = """# Title

Some **bold** text, `code` and a [link](https://example.org/page).

```python
def answer() -> int:
    return 42  # the answer
```

| a | b |
|---|--:|
| 1 | 2 |
"""
HOSTILE = (
    "<img src=x onerror='window.hacked=1'><script>window.hacked=2</script>"
    "<svg onload='window.hacked=3'></svg> [link](javascript:window.hacked=4)"
)


def test_markdown_and_code_are_rendered(open_page: OpenPage) -> None:
    """Headings, tables and links are elements; code has colours, its language and a button."""
    chat = open_page(permissions=["clipboard-read", "clipboard-write"])
    chat.take(conversation("Markdown", *said("Show me", MARKDOWN)))
    prose = chat.last_answer.locator(":scope > .prose")
    expect(prose.locator("h1")).to_have_text("Title")
    expect(prose.locator("strong")).to_have_text("bold")
    expect(prose.locator("td").nth(1)).to_have_css("text-align", "right")
    link = prose.get_by_role("link", name="link")
    expect(link).to_have_attribute("rel", "noopener noreferrer")
    code = prose.locator(".code-box")
    expect(code.locator(".code-head")).to_contain_text("python")
    keyword, plain = (
        code.locator(selector).first.evaluate("(e) => getComputedStyle(e).color")
        for selector in (".k", "code")
    )
    assert keyword != plain
    code.get_by_role("button", name="Copy code").click()
    expect(code).to_contain_text("Copied")
    copied = chat.page.evaluate("navigator.clipboard.readText()")
    assert copied == "def answer() -> int:\n    return 42  # the answer\n"


def test_a_generated_answer_is_rendered_as_it_streams(open_page: OpenPage) -> None:
    """What the model really wrote goes the same way."""
    schema = json.dumps({"const": "so **bold** and `code`"})
    chat = open_page(settings={"jsonMode": "schema", "schema": schema, "maxTokens": 60})
    assert chat.ask("Hello") == '"so bold and code"'
    expect(chat.last_answer.locator("strong")).to_have_text("bold")
    expect(chat.last_answer.locator("code")).to_have_text("code")


def test_a_generated_tag_stays_text(open_page: OpenPage) -> None:
    """A model that is made to write tags shows them, and none of them does anything."""
    schema = json.dumps({"const": HOSTILE})
    chat = open_page(settings={"jsonMode": "schema", "schema": schema, "maxTokens": 200})
    answer = chat.ask("Hello")
    assert "<img src=x onerror='window.hacked=1'><script>window.hacked=2</script>" in answer
    assert_harmless(chat)


def test_an_imported_tag_stays_text(chat: ChatPage) -> None:
    """Tags are harmless wherever they stand: in either side's text, thoughts, calls, titles."""
    question, answer = said(HOSTILE, HOSTILE, thinking=HOSTILE)
    answer["toolCalls"] = [{"id": "1", "name": HOSTILE, "arguments": {"x": HOSTILE}}]
    question["attachments"] = [
        {"id": "f", "name": HOSTILE, "kind": "image", "size": 1, "thumb": "https://example.org/x"}
    ]
    chat.take(conversation(HOSTILE, question, answer))
    chat.last_answer.locator("summary").click()
    expect(chat.last_answer.locator(":scope > .prose")).to_contain_text("<script>")
    expect(chat.page.locator("#title")).to_contain_text("<img")
    assert_harmless(chat)


def assert_harmless(chat: ChatPage) -> None:
    """Nothing ran, and no element came of the text; the fixture sees that nothing was refused."""
    chat.page.wait_for_timeout(300)
    assert chat.page.evaluate("window.hacked") is None
    inside = chat.page.locator("#messages")
    for tag in ("script", "img", "svg[onload]", "a[href^=javascript]"):
        expect(inside.locator(tag)).to_have_count(0)


def test_the_policy_refuses_what_is_inline(open_page: OpenPage) -> None:
    """Should markup ever get in, the browser does not run it."""
    chat = open_page()
    chat.page.evaluate(
        """() => {
          const script = document.createElement("script");
          try { script.textContent = "window.hacked = 1"; } catch { return; }
          document.body.append(script);
        }"""
    )
    assert chat.page.evaluate("window.hacked") is None
    assert chat.faults
    chat.faults.clear()


def test_thoughts_are_folded(chat: ChatPage) -> None:
    """Thoughts stand apart with the time that they took, and open when wanted."""
    chat.take(
        conversation("Thoughts", *said("Why?", "Because.", thinking="Hm, *why*?", thinkingMs=2400))
    )
    thoughts = chat.last_answer.locator("details")
    expect(thoughts.locator("summary")).to_have_text("Thought for 2.4 s")
    expect(thoughts.locator(".prose")).to_be_hidden()
    thoughts.locator("summary").press("Enter")
    expect(thoughts.locator("em")).to_have_text("why")


def test_a_tool_call_is_shown_and_answered(chat: ChatPage) -> None:
    """A call shows its arguments; the result that a person gives leads to the next answer."""
    calls = [{"id": "call_1", "name": "get_weather", "arguments": {"city": "Bern"}}]
    chat.take(conversation("Tools", *said("Weather in Bern?", "", toolCalls=calls)))
    card = chat.last_answer.locator(".tool")
    expect(card).to_contain_text("get_weather")
    expect(card.locator("pre")).to_contain_text('"city": "Bern"')
    card.get_by_label("Result of the tool").fill("sunny")
    card.get_by_role("button", name="Send the result").click()
    chat.answer()
    expect(chat.page.locator(".message.tool .bubble")).to_have_text("sunny")
    expect(chat.last_answer.locator(".trouble")).to_have_count(0)
    expect(chat.page.locator(".tool form")).to_have_count(0)
