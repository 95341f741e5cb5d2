"""Single-stream decode over HTTP, as a ratio to llama-bench -p 0.

llama-bench decodes random tokens in an empty context without sampling, text or HTTP: it is the
ceiling of one stream. Both run in turns, so that a machine that slows down slows both.
"""

from __future__ import annotations

import json
import statistics
import subprocess
from typing import TYPE_CHECKING, Any

from bench import models, peers, record
from bench.client import complete
from bench.server import PYLLAMA, serve

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this measurement's options."""
    models.add_argument(parser, default="q4_1")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=128, help="tokens of one run")
    parser.add_argument("--rounds", type=int, default=5)


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run both in turns; return the record."""
    model = models.resolve(args.model)
    program = peers.build("llama-bench")
    ours: list[float] = []
    theirs: list[float] = []
    with serve(PYLLAMA, model, ["-t", str(args.threads), "-np", "1"]) as server:
        complete(server.port, "Once upon a time", args.tokens)
        for index in range(args.rounds):
            runs: list[Callable[[], None]] = [
                lambda: ours.append(
                    complete(server.port, "Once upon a time", args.tokens).tokens_per_second
                ),
                lambda: theirs.append(_llama_bench(program, model, args)),
            ]
            for run in runs if index % 2 == 0 else reversed(runs):
                run()
    return {
        "workload": "decode, one stream",
        **record.context(model, threads=args.threads, tokens=args.tokens, rounds=args.rounds),
        "pyllama_tokens_per_second": ours,
        "llama_bench_tokens_per_second": theirs,
        "ratio": statistics.median(ours) / statistics.median(theirs),
    }


def table(data: dict[str, Any]) -> str:
    """Return the record as text."""
    rows = [
        ("pyllama over HTTP", data["pyllama_tokens_per_second"]),
        ("llama-bench -p 0", data["llama_bench_tokens_per_second"]),
    ]
    lines = [f"{data['model']}, commit {data['commit']}, {data['machine']['cpu']}"]
    lines += [
        f"{name:<20} median {statistics.median(rates):6.1f} tok/s"
        f"   ({min(rates):.1f} to {max(rates):.1f})"
        for name, rates in rows
    ]
    return "\n".join([*lines, f"ratio {data['ratio']:.3f}"])


def _llama_bench(program: Path, model: Path, args: argparse.Namespace) -> float:
    options = ["-p", "0", "-n", str(args.tokens), "-t", str(args.threads), "-r", "1", "-o", "json"]
    run = subprocess.run(
        [str(program), "-m", str(model), *options], check=True, capture_output=True, text=True
    )
    rate: float = json.loads(run.stdout)[0]["avg_ts"]
    return rate
