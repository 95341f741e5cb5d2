"""The chat template: what it renders, and what it refuses."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyllama._ext.chat import ChatTemplate, content_grammar, generic_tools, schema_grammar
from pyllama._ext.model import Model
from pyllama.errors import NativeError

USER = {"role": "user", "content": "Hi"}


@pytest.fixture(scope="module")
def template(model: Model) -> ChatTemplate:
    """The default model's own template."""
    return ChatTemplate(model)


def request(*messages: dict[str, Any], **more: Any) -> str:
    return json.dumps({"messages": messages, **more})


def test_a_chat_is_rendered(template: ChatTemplate) -> None:
    """The prompt ends where the assistant's turn begins."""
    rendered = template.apply(request(USER))
    assert rendered["prompt"].endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    assert rendered["generation_prompt"].startswith("<|im_start|>assistant")
    assert isinstance(rendered["additional_stops"], list)


def test_the_assistants_turn_is_left_out_on_demand(template: ChatTemplate) -> None:
    """Without add_generation_prompt the prompt ends with the last message."""
    rendered = template.apply(request(USER, add_generation_prompt=False))
    assert rendered["prompt"].endswith("Hi<|im_end|>\n")


def test_the_assistants_last_message_is_continued(template: ChatTemplate) -> None:
    """A last message by the assistant stays open."""
    messages = [USER, {"role": "assistant", "content": "Hello, I"}]
    rendered = template.apply(request(*messages, continue_final_message=True))
    assert rendered["prompt"].endswith("<|im_start|>assistant\nHello, I")


@pytest.mark.parametrize("content", ["a\0b", "日本 🦙", "{{ 7 * 6 }}", "x" * 100_000])
def test_contents_are_text(template: ChatTemplate, content: str) -> None:
    """No content is taken for template code, cut short or refused."""
    rendered = template.apply(request({"role": "user", "content": content}))
    assert content in rendered["prompt"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"messages": 5}',
        '{"messages": [{"role": 5, "content": "x"}]}',
        '{"messages": [{"content": "x"}]}',
        '{"messages": [{"role": "user", "content": "\\ud800"}]}',
        '{"messages": [{"role": "user", "content": {"a": 1}}]}',
        '{"messages": [{"role": "user", "content": [{"type": "text"}]}]}',
        '{"messages": [{"role": "user", "content": "x"}], "chat_template_kwargs": 5}',
    ],
)
def test_a_malformed_request_is_refused(template: ChatTemplate, text: str) -> None:
    """JSON that is no chat is a NativeError with llama-common's reason."""
    with pytest.raises(NativeError, match=r"common_chat_templates_apply: ."):
        template.apply(text)


def test_a_template_may_refuse_a_chat(model: Model) -> None:
    """What a template raises is the error's text."""
    template = ChatTemplate(model, "{{ raise_exception('roles must alternate') }}")
    with pytest.raises(NativeError, match="roles must alternate"):
        template.apply(request(USER))


def test_a_template_that_cannot_be_parsed_is_refused(model: Model) -> None:
    """Broken Jinja is an error when the template is made."""
    with pytest.raises(NativeError, match="common_chat_templates_init"):
        ChatTemplate(model, "{% for %}")


def test_a_template_can_be_replaced(model: Model) -> None:
    """Jinja source, or the name of a built-in format, stands in for the model's own."""
    source = "{% for m in messages %}[{{ m.role }}: {{ m.content }}]{% endfor %}{{ mood }}"
    template = ChatTemplate(model, source)
    assert template.source == source
    rendered = template.apply(request(USER, chat_template_kwargs={"mood": "gay"}))
    assert rendered["prompt"] == "[user: Hi]gay"
    named = ChatTemplate(model, "llama2", use_jinja=False)
    assert "[INST]" in named.apply(request(USER))["prompt"]


def test_what_it_can_take_is_known(template: ChatTemplate) -> None:
    """Capabilities are booleans by name."""
    assert template.caps
    assert all(isinstance(value, bool) for value in template.caps.values())
    assert "im_start" in template.source


def test_threads_share_a_template(template: ChatTemplate) -> None:
    """Threads that render and fail at once each get their own answer."""
    wrong: list[str] = []

    def render(name: str) -> None:
        for _ in range(50):
            if (
                f"|>user\n{name}<"
                not in template.apply(request({**USER, "content": name}))["prompt"]
            ):
                wrong.append(name)
            try:
                template.apply(json.dumps({"messages": [{"role": "user", name: name}]}))
            except NativeError:
                continue
            wrong.append(f"{name} was not refused")

    threads = [threading.Thread(target=render, args=(f"thread {i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "function", "name", "parameters", "properties", "arguments", "role"]
            )
            | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(messages=JSON, tools=JSON, schema=JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_json_is_a_chat_or_an_error(
    template: ChatTemplate, messages: Any, tools: Any, schema: Any
) -> None:
    """Whatever JSON comes, llama-common answers or throws; it never ends the process."""
    for more in ({"tools": tools}, {"json_schema": schema}, {}):
        for chat in (messages, [USER, {**USER, "content": messages}], [USER]):
            try:
                rendered = template.apply(json.dumps({"messages": chat, **more}))
            except NativeError:
                continue
            assert isinstance(rendered["prompt"], str)


@pytest.mark.parametrize("function", [generic_tools, schema_grammar, content_grammar])
@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "5", '{"type": 5}', '{"parsers": [5]}'])
def test_malformed_json_is_an_error(function: Callable[[str], object], text: str) -> None:
    """What makes grammars answers or throws as well."""
    try:
        found = function(text)
    except NativeError:
        return
    assert found


def test_a_chat_tells_the_form_of_its_answer(template: ChatTemplate) -> None:
    """A schema makes an eager grammar; a template without tools has none for them."""
    rendered = template.apply(request(USER, json_schema={"const": "x"}))
    assert "x" in rendered["grammar"]
    assert not rendered["grammar_lazy"]
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    assert template.apply(request(USER, tools=tools))["grammar"] == ""
    wish = {
        "tools": tools,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "generation_prompt": rendered["generation_prompt"],
        "thinking_start": "",
        "thinking_ends": [],
    }
    generic = generic_tools(json.dumps(wish))
    assert generic["grammar_lazy"]
    assert generic["grammar_triggers"] == [{"type": 1, "value": "<tool_call>"}]
    assert "answer" in content_grammar(rendered["parser"])
    assert schema_grammar('{"const": "x"}').startswith("root ::=")


def test_a_prompt_alone_is_the_same_prompt(template: ChatTemplate) -> None:
    """prompt_only leaves out the analysis, not a word of the prompt."""
    whole = template.apply(request(USER))
    alone = template.apply(request(USER, prompt_only=True))
    assert alone["prompt"] == whole["prompt"]
    assert alone["generation_prompt"] == whole["generation_prompt"]
