"""Several streams over HTTP, as a ratio to llama-batched-bench.

llama-batched-bench decodes c sequences in one batch without sampling, text or HTTP: it is the
ceiling of c streams. Both run in turns, so that a machine that slows down slows both.
"""

from __future__ import annotations

import json
import statistics
import subprocess
from typing import TYPE_CHECKING, Any

from bench import models, peers, record, workloads
from bench.compare import run_phase
from bench.server import PYLLAMA, serve

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from bench.workloads import Load, Phase

_PROMPT_TOKENS = 24  # about what the 16 words of the workload `decode` are


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this measurement's options."""
    models.add_argument(parser, default="q4_0")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="1 and 8 streams of 32 tokens")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run both in turns; return the record."""
    model = models.resolve(args.model)
    program = peers.build("llama-batched-bench")
    sizes = workloads.QUICK if args.quick else workloads.FULL
    ours: dict[int, list[float]] = {}
    theirs: dict[int, list[float]] = {}
    for _ in range(args.rounds):
        for load in workloads.decode(sizes):
            flags = ["-c", str(load.n_ctx), "-np", str(load.n_slots), "-t", str(args.threads)]
            with serve(PYLLAMA, model, flags) as server:
                for phase in load.phases:
                    count = n_streams(phase)
                    sample = run_phase(phase, server)[phase.name]
                    ours.setdefault(count, []).append(count / sample["gap_p50_s"])
            counts = [n_streams(phase) for phase in load.phases]
            for count, rate in _batched_bench(program, model, args, sizes.n_tokens, load, counts):
                theirs.setdefault(count, []).append(rate)
    return {
        "workload": "decode, several streams",
        **record.context(model, threads=args.threads, rounds=args.rounds, quick=args.quick),
        "rows": [
            {
                "n_streams": count,
                "pyllama_tokens_per_second": ours[count],
                "llama_batched_bench_tokens_per_second": theirs[count],
                "ratio": statistics.median(ours[count]) / statistics.median(theirs[count]),
            }
            for count in sorted(ours)
        ],
    }


def table(data: dict[str, Any]) -> str:
    """Return the record as text."""
    lines = [
        f"{data['model']}, commit {data['commit']}, {data['machine']['cpu']}",
        "streams   pyllama over HTTP   llama-batched-bench   ratio",
    ]
    for row in data["rows"]:
        ours = statistics.median(row["pyllama_tokens_per_second"])
        theirs = statistics.median(row["llama_batched_bench_tokens_per_second"])
        lines.append(f"{row['n_streams']:7d}{ours:20.1f}{theirs:22.1f}{row['ratio']:8.3f}")
    return "\n".join(lines)


def n_streams(phase: Phase) -> int:
    """Return how many streams a phase of the workload `decode` has; its name says it."""
    return int(phase.name.rpartition(" ")[2])


def _batched_bench(
    program: Path,
    model: Path,
    args: argparse.Namespace,
    n_tokens: int,
    load: Load,
    counts: list[int],
) -> list[tuple[int, float]]:
    options = {
        "-c": load.n_ctx,
        "-t": args.threads,
        "-npp": _PROMPT_TOKENS,
        "-ntg": n_tokens,
        "-npl": ",".join(map(str, counts)),
        "--output-format": "jsonl",
    }
    flags = [text for option in options.items() for text in map(str, option)]
    run = subprocess.run(
        [str(program), "-m", str(model), *flags], check=True, capture_output=True, text=True
    )
    rows = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    return [(row["pl"], row["speed_tg"]) for row in rows]
