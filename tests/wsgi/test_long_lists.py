"""Long lists of a client's: the work grows with their length, and it can be interrupted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from pyllama.errors import InvalidRequest
from pyllama.interruption import Interruptible
from pyllama.text.tools import MAX_TOOLS as MAX_LIBRARY_TOOLS
from tests.support.fake_llama import FakeLlama
from wsgi.anthropic.convert import Converter as AnthropicConverter
from wsgi.anthropic.tools import tool_options
from wsgi.conversation import MAX_TOOLS
from wsgi.openai.logit_bias import MAX_TEXTS, read_logit_bias
from wsgi.openai.messages import read_messages
from wsgi.openai.tools import read_tools
from wsgi.responses.convert import Converter
from wsgi.responses.tools import Toolbox

if TYPE_CHECKING:
    from collections.abc import Callable

LLM: Any = FakeLlama()
HOSTED = {"type": "web_search"}
FUNCTION = {"type": "function", "function": {"name": "f"}}
THOUGHT = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm" * 500}]}
SAID = {"role": "assistant", "content": "so" * 500}


def converted(*items: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the messages that items of the Responses API become."""
    converter = Converter()
    for i, item in enumerate(items):
        converter.add_item(item, f"input[{i}]")
    converter.finish()
    return converter.messages


def toolbox(*tools: dict[str, Any]) -> Toolbox:
    """Return a toolbox to which tools came one by one, as items bring them."""
    box = Toolbox()
    for tool in tools:
        box.add([tool], "input[0].tools", again=True)
    return box


def allowed(n: int) -> Any:
    """Choose among as many tools as there may be, n times."""
    box = toolbox(*({"type": "function", "name": f"f{k}"} for k in range(MAX_TOOLS)))
    entries = [{"type": "function", "name": f"f{MAX_TOOLS - 1}"}] * n
    return box.options({"type": "allowed_tools", "mode": "auto", "tools": entries}, {})


def chat_allowed(n: int) -> Any:
    """Do so in a chat."""
    inner = {"mode": "auto", "tools": [FUNCTION] * n}
    choice = {"type": "allowed_tools", "allowed_tools": inner}
    return read_tools({"tools": [FUNCTION], "tool_choice": choice})


def turns(*blocks: dict[str, Any]) -> Any:
    """Return the messages that a turn of Anthropic's becomes."""
    converter = AnthropicConverter()
    converter.add_turns([{"role": "assistant", "content": list(blocks)}])
    return converter.messages


LOOPS: dict[str, Callable[[int], Any]] = {
    "responses said": lambda n: converted(*[SAID] * n),
    "responses thought": lambda n: converted(*[THOUGHT] * n),
    "responses hosted": lambda n: converted(SAID, *[{"type": "mcp_call"}] * n),
    "responses tools": lambda n: toolbox(*[{"type": "function", "name": "f"}] * n),
    "responses hosted tools": lambda n: toolbox(*[HOSTED] * n),
    "responses allowed": allowed,
    "chat allowed": chat_allowed,
    "chat hosted tools": lambda n: read_tools({"tools": [HOSTED] * n}),
    "chat parts": lambda n: read_messages(
        [{"role": "user", "content": [{"type": "text", "text": "a"}] * n}]
    ),
    "anthropic blocks": lambda n: turns(*[{"type": "text", "text": "a"}] * n),
    "anthropic hosted tools": lambda n: tool_options({"tools": [{"type": "web_search"}] * n}, {}),
    "biases": lambda n: read_logit_bias([[1, 1]] * n, LLM),
}


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_work_on_a_long_list_can_be_interrupted(
    loop: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With each member of a list it is asked whether the client is still there."""
    monkeypatch.setattr("pyllama.interruption._LOOK_S", 0.0)
    looks: list[None] = []
    with Interruptible(lambda: looks.append(None)):
        loop(100)
    assert len(looks) >= 100


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
def test_work_grows_with_the_list(loop: Callable[[int], Any]) -> None:
    """Three times as many members take about three times as long, and not nine times."""

    def cost_s(n: int) -> float:
        begin_s = time.thread_time()
        loop(n)
        return time.thread_time() - begin_s

    assert any(cost_s(15_000) < 5 * cost_s(5_000) for _ in range(5))


def test_texts_of_an_answer_stay_together() -> None:
    """What neighbouring items say and think is one message, in their order."""
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": "x"}
    thought = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]}
    said = {"role": "assistant", "content": "so"}
    first, _, last = converted(thought, said, call, said, thought, output, said)
    assert first["content"] == "soso"
    assert first["reasoning_content"] == "hmhm"
    assert [each["function"]["name"] for each in first["tool_calls"]] == ["f"]
    assert last == {"role": "assistant", "content": "so"}


def test_tools_beyond_the_bound_are_refused_where_they_are_read() -> None:
    """Neither dialect looks further at more tools than the library takes."""
    assert MAX_TOOLS == MAX_LIBRARY_TOOLS
    tools = [{"type": "function", "name": f"f{k}"} for k in range(MAX_TOOLS + 1)]
    assert len(toolbox(*tools[1:]).own) == MAX_TOOLS
    with pytest.raises(InvalidRequest, match="128") as caught:
        toolbox(*tools)
    assert caught.value.param == "input[0].tools"
    with pytest.raises(InvalidRequest, match="128") as caught:
        read_tools({"tools": [FUNCTION] * (MAX_TOOLS + 1)})
    assert caught.value.param == "tools"


def test_a_choice_means_the_first_tool_of_its_name() -> None:
    """A tool is chosen by its own name, with or without its namespace, or by what calls it."""
    inner = [{"type": "function", "name": "f"}]
    box = Toolbox()
    box.add([{"type": "namespace", "name": space, "tools": inner} for space in "ab"], "tools")
    for more, called in (({}, "a__f"), ({"namespace": "b"}, "b__f"), ({"name": "b__f"}, "b__f")):
        choice = {"type": "function", "name": "f", **more}
        assert box.options(choice, {})["tool_choice"]["function"]["name"] == called
    for wrong in ({"name": ["f"]}, {"namespace": ["a"]}, {"namespace": "c"}):
        with pytest.raises(InvalidRequest):
            box.options({"type": "function", "name": "f", **wrong}, {})


def test_biases_of_texts_are_bounded() -> None:
    """Ids are taken for a whole vocabulary, texts up to a number that is told."""
    assert len(read_logit_bias([[1, 1]] * 20_000, LLM)) == 20_000
    assert len(read_logit_bias([["a", 1]] * MAX_TEXTS, LLM)) == MAX_TEXTS
    with pytest.raises(InvalidRequest, match="send token ids") as caught:
        read_logit_bias([["a", 1]] * (MAX_TEXTS + 1), LLM)
    assert caught.value.param == "logit_bias"
