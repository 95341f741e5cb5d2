"""What reading an answer costs a token, at its beginning and at its end.

Tokens become text, stop strings are looked for, and content, reasoning and tool calls are told
apart while the answer grows. All of that must cost the same at the 2,000th token as at the first.
No model computes: the tokens are those of a given text, read as the chat template of a model asks.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

from bench import models, record
from bench.words import text
from pyllama import Llama
from pyllama.params import GenerationParams

if TYPE_CHECKING:
    import argparse

    from pyllama import Prompt

_WINDOW = 200
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "note",
            "description": "Keep a text.",
            "parameters": {
                "type": "object",
                "properties": {"text": {"type": "string"}},
                "required": ["text"],
            },
        },
    }
]
_CHAT = [{"role": "user", "content": "Tell me a long story."}]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this measurement's options."""
    models.add_argument(parser, default="q4_1")
    parser.add_argument("--tokens", type=int, default=2000, help="tokens of the answer")
    parser.add_argument("--runs", type=int, default=7, help="the best time of each token counts")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Read answers; return the record."""
    model = models.resolve(args.model)
    story = text("story", args.tokens)
    call = f'<tool_call>\n{{"name": "note", "arguments": {{"text": "{story}"}}}}\n</tool_call>'
    with Llama(str(model), ctx_size=512, parallel=1) as llm:
        plain = llm.chat_prompt(_CHAT)
        tools = llm.chat_prompt(_CHAT, tools=TOOLS)
        rows = [
            {"answer": name, **_read(llm, prompt, answer, args)}
            for name, prompt, answer in (
                ("content", plain, story),
                ("content, tools in the request", tools, story),
                ("a tool call", tools, call),
            )
        ]
    return {
        "workload": "reading an answer, microseconds a token",
        **record.context(model, tokens=args.tokens, runs=args.runs),
        "rows": rows,
    }


def table(data: dict[str, Any]) -> str:
    """Return the record as text."""
    lines = [
        f"{data['workload']}, commit {data['commit']}, {data['machine']['cpu']}",
        f"{'answer':<32}{'first ' + str(_WINDOW):>12}{'last ' + str(_WINDOW):>12}   ratio",
    ]
    lines += [
        f"{row['answer']:<32}{row['first_us']:12.1f}{row['last_us']:12.1f}"
        f"{row['last_us'] / row['first_us']:8.2f}"
        for row in data["rows"]
    ]
    return "\n".join(lines)


def _read(llm: Llama, prompt: Prompt, answer: str, args: argparse.Namespace) -> dict[str, float]:
    tokens = llm.tokenize(answer)[: args.tokens]
    runs = [_times_us(llm, prompt, tokens) for _ in range(args.runs)]
    # A machine that does something else makes a token slower, never faster.
    best = [min(times) for times in zip(*runs, strict=True)]
    return {
        "first_us": statistics.mean(best[:_WINDOW]),
        "last_us": statistics.mean(best[-_WINDOW:]),
    }


def _times_us(llm: Llama, prompt: Prompt, tokens: list[int]) -> list[float]:
    reader = llm.reader(prompt, GenerationParams())
    times_us = []
    for token in tokens:
        start_ns = time.perf_counter_ns()
        reader.feed(token)
        times_us.append((time.perf_counter_ns() - start_ns) / 1e3)
    reader.finish(is_cut=True)
    return times_us
