"""What a token costs at the beginning and at the end of a long answer streamed over HTTP.

It grows with what the model attends to, on both sides the same; a server that reads the whole
answer again with each token makes it grow further. ``reading`` measures that part alone.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from bench import models, record, server
from bench.client import chat
from bench.reading import TOOLS

if TYPE_CHECKING:
    import argparse

_WINDOW = 200
_QUESTION = "Tell me a long story."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this measurement's options."""
    models.add_argument(parser, default="q4_0")
    parser.add_argument("--tokens", type=int, default=2000, help="tokens of the answer")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Stream answers from both servers in turns; return the record."""
    model = models.resolve(args.model)
    flags = ["-t", str(args.threads), "-np", "1", "-c", str(args.tokens + 1000)]
    sides = [server.PYLLAMA, server.llama_server()]
    rows: list[dict[str, Any]] = [
        {"server": side.name, "has_tools": has_tools, "first_s": [], "last_s": []}
        for side in sides
        for has_tools in (False, True)
    ]
    for index in range(args.rounds):
        for side in sides if index % 2 == 0 else reversed(sides):
            with server.serve(side, model, flags) as running:
                chat(running.port, _QUESTION, 8, ())
                for row in rows:
                    if row["server"] == side.name:
                        _add(row, running.port, args.tokens)
    return {
        "workload": "one long chat answer",
        **record.context(model, threads=args.threads, tokens=args.tokens, rounds=args.rounds),
        "rows": rows,
    }


def table(data: dict[str, Any]) -> str:
    """Return the record as text."""
    settings = data["settings"]
    head = f"{data['model']}, commit {data['commit']}, {data['machine']['cpu']}: "
    lines = [
        head + f"{settings['tokens']} tokens, medians of {settings['rounds']} rounds",
        "",
        f"| server | tools in the request | first {_WINDOW}, ms a token | last {_WINDOW} | ratio |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for row in data["rows"]:
        first, last = (1e3 * statistics.median(row[name]) for name in ("first_s", "last_s"))
        has_tools = "yes" if row["has_tools"] else "no"
        lines.append(
            f"| {row['server']} | {has_tools} | {first:.2f} | {last:.2f} | {last / first:.2f} |"
        )
    return "\n".join(lines)


def _add(row: dict[str, Any], port: int, n_tokens: int) -> None:
    """Stream one answer; some tokens have no text of their own, so time is told from chunks."""
    streamed = chat(port, _QUESTION, n_tokens, TOOLS if row["has_tools"] else ())
    times = streamed.token_s
    per_chunk = len(times) / streamed.n_tokens
    row["first_s"].append((times[_WINDOW] - times[0]) / _WINDOW * per_chunk)
    row["last_s"].append((times[-1] - times[-1 - _WINDOW]) / _WINDOW * per_chunk)
