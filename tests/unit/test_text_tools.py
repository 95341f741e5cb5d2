"""The tools of a request: what is refused, by its path, and what is callable."""

from __future__ import annotations

from typing import Any

import pytest

from pyllama.errors import InvalidRequest
from pyllama.text import tools as chat_tools


def tool(name: Any = "f", **function: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **function}}


@pytest.mark.parametrize(
    ("tools", "choice", "param"),
    [
        ("x", "auto", "tools"),
        ([object()], "auto", "tools"),
        ([5], "auto", "tools[0].type"),
        ([{"type": "retrieval"}], "auto", "tools[0].type"),
        ([{"type": "function"}], "auto", "tools[0].function"),
        ([tool(None)], "auto", "tools[0].function.name"),
        ([tool("a b")], "auto", "tools[0].function.name"),
        ([tool("a" * 65)], "auto", "tools[0].function.name"),
        ([tool("f"), tool("f")], "auto", "tools[1].function.name"),
        ([tool("a_b"), tool("a-b")], "auto", "tools[1].function.name"),
        ([tool("call")], "auto", "tools[0].function.name"),
        ([tool("f"), tool("f-schema")], "auto", "tools[1].function.name"),
        ([tool(description=5)], "auto", "tools[0].function.description"),
        ([tool(parameters=[])], "auto", "tools[0].function.parameters"),
        ([tool(parameters={"type": "string"})], "auto", "tools[0].function.parameters.type"),
        (
            [tool(parameters={"properties": {"a": {"type": "x"}}})],
            "auto",
            "tools[0].function.parameters.properties.a.type",
        ),
        (
            [tool(parameters={"properties": {f"p{i}": {} for i in range(200)}})],
            "auto",
            "tools[0].function.parameters.properties",
        ),
        ([tool(f"f{i}") for i in range(129)], "auto", "tools"),
        ([tool()], "sometimes", "tool_choice"),
        ([tool()], {"type": "function"}, "tool_choice"),
        ([tool()], tool("g"), "tool_choice.function.name"),
        ([], "required", "tool_choice"),
        (None, tool("f"), "tool_choice"),
    ],
)
def test_what_is_malformed_is_refused(tools: Any, choice: Any, param: str) -> None:
    """The error names the field that is wrong."""
    with pytest.raises(InvalidRequest) as caught:
        chat_tools.read(tools, choice)
    assert caught.value.param == param


def test_a_named_tool_alone_is_callable() -> None:
    """The model is shown all tools, and can call the one that is named."""
    found = chat_tools.read([tool("f"), tool("g", description=None)], tool("g"))
    assert [one["function"]["name"] for one in found.callable] == ["g"]
    assert found.chosen == (tool("g", description=None),)
    assert found.shown == [tool("f"), tool("g")]
    assert found.choice == "required"
    assert found.are_callable


@pytest.mark.parametrize("choice", ["auto", None, "none"])
def test_no_tool_is_no_call(choice: Any) -> None:
    """Without tools, and where none may be called, an answer is content."""
    assert not chat_tools.read(None, choice).are_callable
    assert chat_tools.read([tool()], choice).are_callable is (choice != "none")


def test_a_tool_without_parameters_takes_none() -> None:
    """Missing and empty parameters are an object without members."""
    forms: tuple[dict[str, Any], ...] = ({}, {"parameters": None}, {"parameters": {}})
    for parameters in forms:
        found = chat_tools.read([tool(**parameters)], "auto")
        wanted = {"type": "object", "properties": {}}
        assert found.callable[0]["function"]["parameters"] == wanted
