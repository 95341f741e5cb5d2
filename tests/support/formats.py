"""Answers as models of many families write them, and what they say."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyllama._ext.chat import ChatTemplate
from pyllama._ext.model import Model
from pyllama.text import Answer
from pyllama.text.output import OutputFormat
from pyllama.text.parser import AnswerParser

TEMPLATES = Path(__file__).parents[2] / "vendor" / "llama.cpp" / "models" / "templates"

CODE = 'if a < b:\n    print("é", [1, {"k": \'日本\'}])  # <x> \\n\n'
TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Tell the weather.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city"],
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "write_file",
            "description": "Write a file.",
            "parameters": {
                "type": "object",
                "properties": {"path": {"type": "string"}, "text": {"type": "string"}},
                "required": ["path", "text"],
            },
        },
    },
]

Says = tuple[str, str, list[tuple[str, dict[str, Any]]]]
"""Content, reasoning, calls."""

PARIS = ("get_weather", {"city": "Paris", "days": 3})
FILE = ("write_file", {"path": "a.py", "text": CODE})


@dataclass(frozen=True)
class Family:
    """A template and answers in its format."""

    template: str
    answers: dict[str, tuple[str, Says]]


def _json(call: tuple[str, dict[str, Any]], key: str = "arguments") -> str:
    return json.dumps({"name": call[0], key: call[1]}, ensure_ascii=False)


def _tagged(call: tuple[str, dict[str, Any]]) -> str:
    arguments = [f"<parameter={name}>\n{value}\n</parameter>\n" for name, value in call[1].items()]
    return f"<tool_call>\n<function={call[0]}>\n{''.join(arguments)}</function>\n</tool_call>"


def _gemma(call: tuple[str, dict[str, Any]]) -> str:
    arguments = [
        f'{name}:<|"|>{value}<|"|>' if isinstance(value, str) else f"{name}:{value}"
        for name, value in call[1].items()
    ]
    return f"<|tool_call>call:{call[0]}{{{','.join(arguments)}}}<tool_call|>"


def _hermes(call: tuple[str, dict[str, Any]]) -> str:
    return f"<tool_call>\n{_json(call)}\n</tool_call>"


def _deepseek(*calls: tuple[str, dict[str, Any]]) -> str:
    parts = [
        f"<｜tool▁call▁begin｜>{name}<｜tool▁sep｜>{json.dumps(arguments)}<｜tool▁call▁end｜>"
        for name, arguments in calls
    ]
    return f"<｜tool▁calls▁begin｜>{''.join(parts)}<｜tool▁calls▁end｜>"


def _kimi(*calls: tuple[str, dict[str, Any]]) -> str:
    parts = [
        f"<|tool_call_begin|>functions.{name}:{index}<|tool_call_argument_begin|>"
        f"{json.dumps(arguments)}<|tool_call_end|>"
        for index, (name, arguments) in enumerate(calls)
    ]
    return f"<|tool_calls_section_begin|>{''.join(parts)}<|tool_calls_section_end|>"


def _gpt_oss(call: tuple[str, dict[str, Any]]) -> str:
    return (
        f"<|channel|>commentary to=functions.{call[0]} <|constrain|>json<|message|>"
        f"{json.dumps(call[1])}"
    )


TALK = "Sure: <b>x</b> is 1 < 2.\n\nDone, ok?"
THOUGHT = "They want < 3 things.\nSo I\n\nlook."

FAMILIES = [
    Family(
        "NousResearch-Hermes-3-Llama-3.1-8B-tool_use",
        {
            "plain": (TALK, (TALK, "", [])),
            "call": (_hermes(PARIS), ("", "", [PARIS])),
            "talk and calls": (
                f"I look.\n{_hermes(PARIS)}\n{_hermes(FILE)}",
                ("I look.\n", "", [PARIS, FILE]),
            ),
        },
    ),
    Family(
        "Qwen-Qwen3-0.6B",
        {
            "plain": (TALK, (TALK, "", [])),
            "thought": (f"<think>\n{THOUGHT}\n</think>\n\n{TALK}", (TALK, f"{THOUGHT}\n", [])),
            "thought and call": (
                f"<think>\n{THOUGHT}\n</think>\n\n{_hermes(FILE)}",
                ("", f"{THOUGHT}\n", [FILE]),
            ),
            "never ends": (f"<think>\n{THOUGHT}", ("", THOUGHT, [])),
        },
    ),
    Family(
        "Qwen3-Coder",
        {
            "plain": (TALK, (TALK, "", [])),
            "call": (_tagged(FILE), ("", "", [FILE])),
            "talk and calls": (
                f"I look.\n{_tagged(PARIS)}\n{_tagged(FILE)}",
                ("I look.\n", "", [PARIS, FILE]),
            ),
        },
    ),
    Family(
        "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16",
        {
            "thought": (f"{THOUGHT}\n</think>\n{TALK}", (TALK, f"{THOUGHT}\n", [])),
            "thought and calls": (
                f"{THOUGHT}\n</think>\n{_tagged(PARIS)}\n{_tagged(FILE)}",
                ("", f"{THOUGHT}\n", [PARIS, FILE]),
            ),
            "never ends": (THOUGHT, ("", THOUGHT, [])),
        },
    ),
    Family(
        "google-gemma-4-31B-it",
        {
            "plain": (TALK, (TALK, "", [])),
            "calls": (f"{_gemma(PARIS)}{_gemma(FILE)}", ("", "", [PARIS, FILE])),
            "thought": (f"<|channel>thought\n{THOUGHT}<channel|>{TALK}", (TALK, THOUGHT, [])),
        },
    ),
    Family(
        "mistralai-Mistral-Nemo-Instruct-2407",
        {
            "plain": (TALK, (TALK, "", [])),
            "calls": (
                (
                    f'[TOOL_CALLS][{_json(PARIS)[:-1]}, "id": "abcdefghi"}}, '
                    f'{_json(FILE)[:-1]}, "id": "jklmnopqr"}}]'
                ),
                ("", "", [PARIS, FILE]),
            ),
        },
    ),
    Family(
        "openai-gpt-oss-120b",
        {
            "plain": (f"<|channel|>final<|message|>{TALK}", (TALK, "", [])),
            "thought": (
                (
                    f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant"
                    f"<|channel|>final<|message|>{TALK}"
                ),
                (TALK, THOUGHT, []),
            ),
            "thought and call": (
                f"<|channel|>analysis<|message|>{THOUGHT}<|end|><|start|>assistant{_gpt_oss(FILE)}",
                ("", THOUGHT, [FILE]),
            ),
        },
    ),
    Family(
        "deepseek-ai-DeepSeek-V3.1",
        {
            "thought": (f"{THOUGHT}</think>{TALK}", (TALK, THOUGHT, [])),
            "thought and calls": (
                f"{THOUGHT}</think>{_deepseek(PARIS, FILE)}",
                ("", THOUGHT, [PARIS, FILE]),
            ),
        },
    ),
    Family(
        "Kimi-K2-Instruct",
        {
            "plain": (TALK, (TALK, "", [])),
            "calls": (_kimi(PARIS, FILE), ("", "", [PARIS, FILE])),
        },
    ),
    Family(
        "meta-llama-Llama-3.1-8B-Instruct",
        {
            "plain": (TALK, (TALK, "", [])),
            "braces": ("A set is {1, 2}, ok?", ("A set is {1, 2}, ok?", "", [])),
            "call": (_json(FILE, "parameters"), ("", "", [FILE])),
        },
    ),
    Family(
        "LFM2.5-8B-A1B",
        {
            "plain": (TALK, (TALK, "", [])),
            "call": (
                '<|tool_call_start|>[get_weather(city="Paris", days=3)]<|tool_call_end|>',
                ("", "", [PARIS]),
            ),
        },
    ),
    Family("google-gemma-2-2b-it", {"plain": (TALK, (TALK, "", []))}),
]
ANSWERS = [(family.template, name) for family in FAMILIES for name in family.answers]


def answer(template: str, name: str) -> tuple[str, Says]:
    """Return an answer's text and what it says."""
    return next(family.answers[name] for family in FAMILIES if family.template == template)


def output_format(model: Model, template: str, **request: Any) -> OutputFormat:
    """Return how answers are read under a template of llama.cpp's collection, with the tools."""
    source = (TEMPLATES / f"{template}.jinja").read_text(encoding="utf-8")
    asked = {
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": TOOLS,
        "parallel_tool_calls": True,
        "reasoning_format": "auto",
        **request,
    }
    rendered: Any = ChatTemplate(model, source).apply(json.dumps(asked))
    return OutputFormat(
        format=rendered["format"],
        parser=rendered["parser"],
        generation_prompt=rendered["generation_prompt"],
        reasoning_format=asked["reasoning_format"],
        parse_tool_calls=True,
        thinking_start=rendered["thinking_start"],
        thinking_ends=tuple(rendered["thinking_ends"]),
        tools=tuple(TOOLS),
        parallel_tool_calls=True,
    )


def read(parser: AnswerParser, pieces: Iterable[str], *, is_cut: bool = False) -> Answer:
    """Read an answer that comes in pieces."""
    whole = Answer()
    for piece in pieces:
        whole.add(parser.feed(piece))
    whole.add(parser.finish(is_cut=is_cut))
    return whole


def says(whole: Answer) -> Says:
    """Return what an answer says; its calls' arguments must be JSON."""
    calls = [(call.name, json.loads(call.arguments)) for call in whole.tool_calls]
    return whole.text, whole.reasoning, calls
