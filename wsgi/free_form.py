"""Tools whose input is a text and no JSON: they are shown as functions of one string."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from .partial import tool_input

if TYPE_CHECKING:
    from collections.abc import Mapping

_INPUT = "input"


def free_form_function(tool: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the function that stands for a tool.

    A regular expression holds the input, as far as one can be held to it. A grammar of another
    syntax is told to the model, which may or may not keep to it: the tool's owner checks.

    Args:
        tool: has a ``description`` and a ``format``, or not.
        name: what the model is to call it.
    """
    value: dict[str, Any] = {"type": "string"}
    description = tool.get("description") or ""
    form = tool.get("format") or {}
    if form.get("type") == "grammar":
        # Chats have the grammar in an object of its own.
        grammar = form.get("grammar", form)
        if grammar["syntax"] == "regex":
            value["pattern"] = f"^(?:{grammar['definition']})$"
        else:
            syntax, definition = grammar["syntax"], grammar["definition"]
            told = f"The input follows this grammar in {syntax}:\n{definition}"
            description = f"{description}\n\n{told}" if description else told
    parameters = {"type": "object", "properties": {_INPUT: value}, "required": [_INPUT]}
    return {"name": name, "description": description, "parameters": parameters}


def free_form_arguments(text: str) -> str:
    """Return the arguments of a call with an input."""
    return orjson.dumps({_INPUT: text}).decode()


def free_form_input(arguments: str) -> str:
    """Return the input of a call; of one that was cut, what there is of it as a whole."""
    found = tool_input(arguments)
    text = found.get(_INPUT, "") if isinstance(found, dict) else ""
    return text if isinstance(text, str) else ""
