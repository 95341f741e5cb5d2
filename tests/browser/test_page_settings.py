"""The settings: what they ask for is what the server does, and what is wrong is said before."""

from __future__ import annotations

import json
from collections.abc import Callable

from playwright.sync_api import expect

from tests.support.chat_page import ChatPage, sent_body

OpenPage = Callable[..., ChatPage]

SYSTEM_PROMPT = "You are a helpful assistant. Answer briefly."
# What the page kept of a person who changed the maximum of tokens, when it kept all values.
ALL = {
    **dict.fromkeys(("systemPrompt", "schema", "tools", "seed", "temperature", "topP"), ""),
    **dict.fromkeys(("topK", "minP", "repeatPenalty"), ""),
    "maxTokens": 7,
    "think": True,
    "jsonMode": "off",
}


def test_settings_are_sent_and_kept(chat: ChatPage) -> None:
    """A number that was changed counts for the next answer, and after a reload."""
    chat.page.get_by_role("button", name="Settings").click()
    drawer = chat.page.get_by_role("dialog", name="Settings")
    drawer.get_by_label("Maximum tokens").fill("5")
    drawer.get_by_label("System prompt").fill("You answer in capital letters.")
    drawer.get_by_role("button", name="Close").click()
    with chat.page.expect_request("**/api/chat") as sent:
        chat.ask("Tell me a long story.")
    body = sent_body(sent.value)
    assert body["messages"][0] == {"role": "system", "content": "You answer in capital letters."}
    assert (body["maxTokens"], body["temperature"], body["think"]) == (5, 0, False)
    assert "topK" not in body
    expect(chat.last_answer.locator(".stats")).to_contain_text("5 tokens")
    expect(chat.last_answer.locator(".remark")).to_have_text(
        "The answer was stopped after 5 tokens: that is the limit in the settings, or the end of "
        "the context."
    )
    chat.page.reload()
    chat.ready()
    chat.page.get_by_role("button", name="Settings").click()
    expect(drawer.get_by_label("Maximum tokens")).to_have_value("5")


def test_what_suits_the_model_is_seen_and_sent(chat: ChatPage) -> None:
    """The card's values stand in the settings and in a request, unless a person changes them."""
    chat.page.get_by_role("button", name="Settings").click()
    drawer = chat.page.get_by_role("dialog", name="Settings")
    expect(drawer.get_by_label("System prompt")).to_have_value(SYSTEM_PROMPT)
    expect(drawer.get_by_label("Top p")).to_have_value("0.9")
    # What a person set before holds against the card.
    expect(drawer.get_by_label("Temperature")).to_have_value("0")
    chat.page.keyboard.press("Escape")
    with chat.page.expect_request("**/api/chat") as sent:
        chat.ask("Hello")
    body = sent_body(sent.value)
    assert body["messages"][0] == {"role": "system", "content": SYSTEM_PROMPT}
    assert (body["topP"], body["temperature"], body["maxTokens"]) == (0.9, 0, 16)
    chat.page.get_by_role("button", name="Settings").click()
    drawer.get_by_label("Top p").fill("")
    drawer.get_by_label("System prompt").fill("")
    chat.page.keyboard.press("Escape")
    chat.page.reload()
    chat.ready()
    with chat.page.expect_request("**/api/chat") as sent:
        chat.ask("Hello again")
    body = sent_body(sent.value)
    assert "topP" not in body
    assert body["messages"][0]["role"] == "user"
    chat.page.get_by_role("button", name="Settings").click()
    chat.page.get_by_role("button", name="Reset to defaults").click()
    expect(drawer.get_by_label("Top p")).to_have_value("0.9")
    expect(drawer.get_by_label("Temperature")).to_have_value("0.2")
    expect(drawer.get_by_label("System prompt")).to_have_value(SYSTEM_PROMPT)


def test_values_that_nobody_chose_follow_the_model(open_page: OpenPage) -> None:
    """Who used the page when it kept all values gets the card's, but for what they changed."""
    chat = open_page(settings=ALL)
    chat.page.get_by_role("button", name="Settings").click()
    drawer = chat.page.get_by_role("dialog", name="Settings")
    expect(drawer.get_by_label("System prompt")).to_have_value(SYSTEM_PROMPT)
    expect(drawer.get_by_label("Top p")).to_have_value("0.9")
    expect(drawer.get_by_label("Temperature")).to_have_value("0.2")
    expect(drawer.get_by_label("Maximum tokens")).to_have_value("7")


def test_a_wrong_number_is_not_sent(chat: ChatPage) -> None:
    """Sending opens the settings at what is wrong, and the message stays where it was."""
    chat.page.get_by_role("button", name="Settings").click()
    field = chat.page.get_by_label("Top p", exact=True)
    field.fill("3")
    expect(field).to_have_attribute("aria-invalid", "true")
    chat.page.keyboard.press("Escape")
    chat.write("Hello")
    expect(field).to_be_focused()
    expect(chat.page.locator("#prompt")).to_have_value("Hello")
    expect(chat.page.locator(".message")).to_have_count(0)
    chat.page.get_by_role("button", name="Reset to defaults").click()
    expect(field).to_have_value("0.9")


def test_a_schema_shapes_the_answer(chat: ChatPage) -> None:
    """A schema is checked as it is written; the answer fits it."""
    chat.page.get_by_role("button", name="Settings").click()
    chat.page.get_by_label("Answer as").select_option(label="JSON that fits a schema")
    schema = chat.page.get_by_label("JSON schema", exact=True)
    schema.fill('{"type": ')
    expect(chat.page.locator("#fault-schema")).to_contain_text("This is no JSON")
    schema.fill("[1]")
    expect(chat.page.locator("#fault-schema")).to_have_text("A schema is a JSON object.")
    schema.fill('{"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}')
    expect(chat.page.locator("#fault-schema")).to_be_hidden()
    chat.page.get_by_label("Maximum tokens").fill("100")
    chat.page.keyboard.press("Escape")
    expect(chat.page.locator("#json")).to_be_visible()
    assert isinstance(json.loads(chat.ask("Is water wet?"))["ok"], bool)


def test_a_refusal_by_the_server_is_shown(open_page: OpenPage) -> None:
    """What only the server can find wrong is said in its words, with a way to try again."""
    schema = json.dumps({"type": "string", "pattern": "("})
    chat = open_page(settings={"jsonMode": "schema", "schema": schema})
    chat.write("Hello")
    trouble = chat.last_answer.locator(".trouble")
    expect(trouble).to_contain_text("pattern")
    chat.page.evaluate("localStorage.removeItem('pyllama.settings')")
    expect(trouble.get_by_role("button", name="Try again")).to_be_visible()


def test_thinking_is_a_switch(chat: ChatPage) -> None:
    """The switch beside the message box says whether the model may think first."""
    switch = chat.page.get_by_role("button", name="Think", exact=True)
    expect(switch).to_have_attribute("aria-pressed", "false")
    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "true")
    with chat.page.expect_request("**/api/chat") as sent:
        chat.ask("Hello")
    assert sent_body(sent.value)["think"] is True
