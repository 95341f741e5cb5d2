"""pyllama's kernels against llama.cpp's: bare llama_decode calls, with them and without, in turns.

No server, no sampling, no text: what remains of a step when all else is taken away. Each side is a
process of its own, since a process uses one kind or the other from its first model on.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from bench import models, record
from pyllama._ext import backend
from pyllama._ext.batch import Batch
from pyllama._ext.context import Context
from pyllama._ext.memory import Memory
from pyllama._ext.model import Model
from pyllama._ext.options import Options
from pyllama._ext.vocab import Vocab

if TYPE_CHECKING:
    import argparse

_DEPTHS = (16, 512, 1900)
_STREAMS = (1, 4, 8)
_CHUNK = 512
_STEPS = 24
_N_CTX_SEQ = 2048


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this measurement's options."""
    models.add_argument(parser, default="q4_0")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cells", default="f16", help="type of the KV cache, as f16 or q8_0")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run both in turns; return the record."""
    path = models.resolve(args.model)
    rounds: dict[str, list[list[dict[str, float]]]] = {"on": [], "off": []}
    for number in range(args.rounds):
        for side in sorted(rounds, reverse=number % 2 == 1):
            call = f"kernels.report({str(path)!r}, {side!r}, {args.threads}, {args.cells!r})"
            command = [sys.executable, "-c", f"from bench import kernels; {call}"]
            run = subprocess.run(command, check=True, capture_output=True, text=True)
            rounds[side].append(json.loads(run.stdout))
    rows = [
        {
            "n_streams": ours[0]["n_streams"],
            "depth": ours[0]["depth"],
            **{
                name: {
                    "on": statistics.median(row[name] for row in ours),
                    "off": statistics.median(row[name] for row in theirs),
                }
                for name in ("prefill_tokens_per_second", "decode_ms")
            },
        }
        for ours, theirs in zip(
            zip(*rounds["on"], strict=True), zip(*rounds["off"], strict=True), strict=True
        )
    ]
    return {
        "workload": "llama_decode with pyllama's kernels and without",
        **record.context(path, threads=args.threads, rounds=args.rounds, cells=args.cells),
        "kernels": backend.use_kernels(),
        "rows": rows,
    }


def table(data: dict[str, Any]) -> str:
    """Return the record as text."""
    place = f"{data['model']}, commit {data['commit']}, {data['machine']['cpu']}"
    kernels = data["kernels"] or "none for this processor"
    lines = [
        f"{place}, {data['settings']['cells']} cells, kernels: {kernels}; with / without",
        "",
        "| streams | depth | prefill, tok/s | ratio | decode, ms a step | ratio |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in data["rows"]:
        prefill, decode = row["prefill_tokens_per_second"], row["decode_ms"]
        lines.append(
            f"| {row['n_streams']} | {row['depth']} | {prefill['on']:.0f} / {prefill['off']:.0f} | "
            f"{prefill['on'] / prefill['off']:.2f} | {decode['on']:.1f} / {decode['off']:.1f} | "
            f"{decode['off'] / decode['on']:.2f} |"
        )
    return "\n".join(lines)


def report(path: str, side: str, n_threads: int, cells: str) -> None:
    """Measure one side in this process, and write the rows to standard output as JSON."""
    backend.use_kernels(side == "on")
    options = Options()
    n_ctx = max(_STREAMS) * _N_CTX_SEQ
    sizes = {"parallel": max(_STREAMS), "ctx-size": n_ctx, "threads": n_threads}
    for name, value in {**sizes, "cache-type-k": cells, "cache-type-v": cells}.items():
        options.set(f"--{name}", str(value))
    model = Model(path, options)
    n_tokens = Vocab(model).n_tokens
    context = Context(model, 0)
    try:
        rows = [row for n_streams in _STREAMS for row in _rows(context, n_streams, n_tokens)]
    finally:
        context.close()
    json.dump(rows, sys.stdout)


def _rows(context: Context, n_streams: int, n_tokens: int) -> list[dict[str, float]]:
    """Deepen some streams step by step; return the pace of prompts and of steps at each depth."""
    batch, memory = Batch(_CHUNK), Memory(context)
    for stream in range(max(_STREAMS)):
        memory.seq_rm(stream, 0)
    draw = random.Random(n_streams)  # noqa: S311
    tokens = [
        [draw.randrange(n_tokens // 50, n_tokens) for _ in range(_N_CTX_SEQ)]
        for _ in range(n_streams)
    ]
    rows, position = [], 0
    for depth in _DEPTHS:
        start_s, n_new = time.perf_counter(), depth - position
        for stream, its in enumerate(tokens):
            for at in range(position, depth, _CHUNK):
                batch.clear()
                batch.add(its, at, min(_CHUNK, depth - at), stream, wants_logits=False)
                context.decode(batch)
        prefill_s, position = time.perf_counter() - start_s, depth
        steps_s = []
        for _ in range(_STEPS):
            batch.clear()
            for stream, its in enumerate(tokens):
                batch.add(its, position, 1, stream, wants_logits=True)
            start_s = time.perf_counter()
            context.decode(batch)
            steps_s.append(time.perf_counter() - start_s)
            position += 1
        rows.append(
            {
                "n_streams": n_streams,
                "depth": depth,
                "prefill_tokens_per_second": n_streams * n_new / prefill_s,
                "decode_ms": statistics.median(steps_s) * 1e3,
            }
        )
    return rows
