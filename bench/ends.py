"""Plain streams alone, and beside answers whose end is cheap, or expensive, to check.

A schema may say what a grammar cannot, so an answer is held against it once it is whole. That takes
time, and the server has other streams meanwhile. Two kinds of answers run beside them: the same
tokens under the same grammar, and one of the two schemas takes most of a second to check. What the
largest gap between two pieces of the plain streams is beside either is what is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import logging
import statistics
from typing import TYPE_CHECKING, Any

from bench import models, record
from bench.client import RequestFailed, Streamed, stream
from bench.figures import percentile
from bench.report import place
from bench.server import PYLLAMA, serve
from bench.words import text

if TYPE_CHECKING:
    import argparse

logger = logging.getLogger(__name__)

_N_ITEMS = 48
_N_CONDITIONS = 1500
_LONG_S = 120.0
_FORM = {
    "type": "array",
    "items": {"type": "integer", "minimum": 0, "maximum": 9},
    "minItems": _N_ITEMS,
    "maxItems": _N_ITEMS,
}
SCHEMAS: dict[str, dict[str, Any] | None] = {
    "alone": None,
    "cheap ends": _FORM,
    # No grammar says what an array shall not contain, and each item is looked at for each of them.
    "expensive ends": {
        **_FORM,
        "not": {"anyOf": [{"contains": {"const": f"no {i}"}} for i in range(_N_CONDITIONS)]},
    },
}
"""What the answers beside the plain streams have to satisfy; there are none beside ``alone``."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this measurement's options."""
    models.add_argument(parser, default="q4_0")
    parser.add_argument("--threads", type=int, default=2, help="(default: 2)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: 5)")
    parser.add_argument("--streams", type=int, default=4, help="plain ones (default: 4)")
    parser.add_argument("--answers", type=int, default=1, help="beside them (default: 1)")
    parser.add_argument("--tokens", type=int, default=512, help="of a stream (default: 512)")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run the plain streams beside each kind of answers, in turns; return the record."""
    model = models.resolve(args.model)
    n_slots = args.streams + args.answers
    context = record.context(
        model,
        threads=args.threads,
        rounds=args.rounds,
        streams=args.streams,
        answers=args.answers,
        tokens=args.tokens,
    )
    kinds = list(SCHEMAS)
    rows: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    flags = ["-c", str(1024 * n_slots), "-np", str(n_slots), "-t", str(args.threads)]
    with serve(PYLLAMA, model, flags) as server:
        asyncio.run(_drive(server.port, args, SCHEMAS["cheap ends"]))
        for round_ in range(args.rounds):
            for kind in kinds if round_ % 2 == 0 else reversed(kinds):
                row = asyncio.run(_drive(server.port, args, SCHEMAS[kind]))
                logger.info("round %d of %d, %s: %s", round_ + 1, args.rounds, kind, row)
                rows[kind].append(row)
    return {"workload": "streams beside answers that are checked", **context, "rows": rows}


def table(data: dict[str, Any]) -> str:
    """Return the record as text."""
    settings = data["settings"]
    medians = {
        kind: {name: statistics.median(row[name] for row in rows) for name in rows[0]}
        for kind, rows in data["rows"].items()
    }
    title = (
        f"{place(data)}: {settings['streams']} plain streams beside {settings['answers']} others, "
        f"{settings['threads']} threads, medians of {settings['rounds']} rounds"
    )
    lines = [
        title,
        "",
        "| beside them | largest gap, ms | p99 | p50 | answers that ended |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {kind} | {1e3 * row['max_s']:.0f} | {1e3 * row['p99_s']:.0f} | "
        f"{1e3 * row['p50_s']:.1f} | {row['ended']:.0f} |"
        for kind, row in medians.items()
    ]
    ours = medians["expensive ends"]
    for kind in ("cheap ends", "alone"):
        other = medians[kind]
        ratios = [f"{ours[name] / other[name]:.2f}" for name in ("max_s", "p99_s", "p50_s")]
        lines.append(f"| expensive ends / {kind} | {' | '.join(ratios)} | |")
    return "\n".join(lines)


async def _drive(
    port: int, args: argparse.Namespace, schema: dict[str, Any] | None
) -> dict[str, float]:
    """Stream the plain ones; return their gaps, and how many of the others ended meanwhile."""
    is_over = asyncio.Event()
    n_others = args.answers if schema is not None else 0
    others = [asyncio.create_task(_others(port, schema, i, is_over)) for i in range(n_others)]
    try:
        prompts = [text(f"stream {i}", 16) for i in range(args.streams)]
        done = await asyncio.gather(*(stream(port, prompt, args.tokens) for prompt in prompts))
    finally:
        is_over.set()
    n_ended = sum(await asyncio.gather(*others))
    return {**_gaps(done), "ended": float(n_ended)}


def _gaps(done: list[Streamed]) -> dict[str, float]:
    gaps = sorted(gap for streamed in done for gap in streamed.gaps_s)
    return {
        "max_s": gaps[-1],
        "p99_s": percentile(gaps, 99),
        "p50_s": percentile(gaps, 50),
    }


async def _others(
    port: int, schema: dict[str, Any] | None, index: int, is_over: asyncio.Event
) -> int:
    """Ask for one answer after the other; return how many ended meanwhile."""
    n_ended = 0
    while not is_over.is_set():
        await asyncio.to_thread(_answer, port, schema, f"answer {index} {n_ended}")
        n_ended += not is_over.is_set()
    return n_ended


def _answer(port: int, schema: dict[str, Any] | None, prompt: str) -> None:
    body = {
        "prompt": text(prompt, 16),
        "json_schema": schema,
        "max_tokens": 4 * _N_ITEMS,
        "temperature": 0,
        "stream": True,
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_LONG_S)
    with contextlib.closing(connection):
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/v1/completions", json.dumps(body), headers)
        data = connection.getresponse().read()
    if not data.endswith(b"data: [DONE]\n\n") or b'"finish_reason":"stop"' not in data:
        raise RequestFailed(f"an answer did not end as asked for: {data[-300:]!r}")
