"""Every template that llama.cpp carries: rendered with tools and reasoning, and constrained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pyllama._ext.model import Model
from pyllama._ext.sampler import Sampler
from pyllama._ext.vocab import Vocab
from pyllama.engine import make_sampler
from pyllama.errors import InvalidRequest, NativeError
from pyllama.params import GenerationParams
from pyllama.text import ChatOptions, ChatPrompts, Constraint

FOLDER = Path(__file__).parents[2] / "vendor" / "llama.cpp" / "models" / "templates"
TEMPLATES = sorted(FOLDER.glob("*.jinja"))

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
SUM = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add numbers.",
        "parameters": {"type": "object", "properties": {"a": {"type": "number"}}},
    },
}
SCHEMA = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Weather in Rome?"},
    {
        "role": "assistant",
        "content": "",
        "reasoning_content": "I look it up.",
        "tool_calls": [
            {
                "id": "call00001",
                "type": "function",
                "function": {"name": "get_weather", "arguments": '{"city": "Rome"}'},
            }
        ],
    },
    {"role": "tool", "tool_call_id": "call00001", "name": "get_weather", "content": "20 degrees"},
    {"role": "user", "content": "And tomorrow?"},
]
# Their sources say so themselves: raise_exception where user and assistant do not take turns, and
# a tool's result followed by the user's message, or a result as the user's words, is none.
ALTERNATING = {
    "Mistral-Small-3.2-24B-Instruct-2506",
    "google-gemma-2-2b-it",
    "mistralai-Ministral-3-14B-Reasoning-2512",
    "mistralai-Mistral-Nemo-Instruct-2407",
}
CASES: dict[str, dict[str, Any]] = {
    "auto": {"tools": [WEATHER, SUM]},
    "required": {"tools": [WEATHER, SUM], "tool_choice": "required"},
    "named": {
        "tools": [WEATHER, SUM],
        "tool_choice": {"type": "function", "function": {"name": "add"}},
    },
    "schema": {"json_schema": SCHEMA},
    "tools and schema": {"tools": [WEATHER, SUM], "json_schema": SCHEMA},
    "grammar": {"grammar": 'root ::= "yes" | "no"'},
    "no thoughts": {"tools": [WEATHER, SUM], "enable_thinking": False},
    "few thoughts": {"json_schema": SCHEMA, "reasoning_budget": 5},
    "no calls": {"tools": [WEATHER, SUM], "tool_choice": "none"},
}


def conversation(path: Path) -> list[dict[str, Any]]:
    return CONVERSATION[:-1] if path.stem in ALTERNATING else CONVERSATION


@pytest.fixture(scope="module", params=TEMPLATES, ids=lambda path: path.stem)
def chat(request: pytest.FixtureRequest, model: Model) -> tuple[Path, ChatPrompts]:
    path: Path = request.param
    return path, ChatPrompts(model, Vocab(model), template=path.read_text(encoding="utf-8"))


def test_the_templates_are_there() -> None:
    """The vendored tree carries them; with none the other tests would say nothing."""
    assert len(TEMPLATES) > 50


def test_a_conversation_with_tools_is_rendered(
    chat: tuple[Path, ChatPrompts], vocab: Vocab
) -> None:
    """Tools, call and result stand in the prompt, whether or not the template knows of tools."""
    path, prompts = chat
    messages = conversation(path)
    if path.stem == "google-gemma-2-2b-it":
        with pytest.raises(InvalidRequest, match="refused the messages"):
            prompts.prompt(CONVERSATION, ChatOptions(tools=[WEATHER, SUM]))
    prompt = prompts.prompt(messages, ChatOptions(tools=[WEATHER, SUM]))
    pieces = vocab.pieces()
    text = b"".join(pieces[token] for token in prompt.tokens).decode()
    words = ["get_weather", "Rome", "20 degrees", "add", "Be brief."]
    if path.stem == "mistralai-Mistral-Nemo-Instruct-2407":
        # It says the system prompt with the last message, and only if that is the user's.
        words.remove("Be brief.")
    for word in words:
        assert word in text, word


@pytest.mark.parametrize("case", CASES)
def test_an_answer_can_be_constrained(
    chat: tuple[Path, ChatPrompts], model: Model, case: str
) -> None:
    """Every template takes every constraint, and the sampler takes what comes of it."""
    path, prompts = chat
    options = ChatOptions(**CASES[case])
    prompt = prompts.prompt(conversation(path), options)
    assert prompt.output is not None
    assert prompt.output.parse_tool_calls is (
        case not in {"schema", "grammar", "few thoughts", "no calls"}
    )
    if case in {"required", "named", "schema", "tools and schema", "grammar", "few thoughts"}:
        assert prompt.constraint is not None
        assert prompt.constraint.grammar
        assert not prompt.constraint.lazy
    if case == "named":
        assert "get_weather" not in (prompt.constraint.grammar if prompt.constraint else "")
    make_sampler(model, GenerationParams(), prompt, 4096)
    assert prompts.prompt(conversation(path), options).constraint is prompt.constraint


@pytest.mark.parametrize(
    ("constraint", "reason"),
    [
        ({"grammar": "root ::= x"}, "failed to parse grammar"),
        ({"lazy": True}, "needs a trigger"),
        ({"triggers": [{"type": 0, "value": "x"}]}, "a word or a pattern"),
        ({"triggers": [{"type": 9, "value": "x"}]}, "a word or a pattern"),
        ({"triggers": [{"type": 2, "value": "("}], "lazy": True}, "."),
        ({"generation_prompt": "b"}, "does not take the end of the prompt"),
        ({"generation_prompt": "<|im_end|>"}, "end-of-generation"),
    ],
)
def test_a_constraint_that_would_end_the_process_is_an_error(
    model: Model, constraint: dict[str, Any], reason: str
) -> None:
    """What llama.cpp aborts on or throws for is a NativeError with its reason."""
    whole = {**Constraint(grammar='root ::= "a"').as_dict(), **constraint}
    params = GenerationParams().as_dict()
    with pytest.raises(NativeError, match=reason):
        Sampler(model, json.dumps({**params, "constraint": whole}))
