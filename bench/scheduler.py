"""What the scheduler costs a step: schedule and update, with a runner that computes nothing."""

from __future__ import annotations

import argparse
import time
from typing import Any

from bench import record
from bench.figures import percentile
from pyllama.sched import (
    BatchPlan,
    Limits,
    Request,
    Scheduler,
    Sequence,
    Status,
    StepResult,
    StepStatus,
)

_N_CTX_SEQ = 1 << 17
# What a small model on a small machine takes, so that the prefill budget finds its size.
_STEP_S = 0.005
# Said here, so that figures stay comparable when the default moves.
_TARGET_S = 0.25
_TOKEN_S = 0.0005


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this measurement's options."""
    parser.add_argument("--steps", type=int, default=1000, help="(default: 1000)")
    parser.add_argument(
        "--sequences",
        type=int,
        nargs="+",
        default=[1, 8, 32, 128],
        help="decoding sequences (default: 1 8 32 128)",
    )


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Time steps with decoding sequences alone, and beside a long prompt; return the record."""
    rows = []
    for n_sequences in args.sequences:
        for is_prefilling in (False, True):
            times_us = _time_steps(n_sequences, args.steps, is_prefilling=is_prefilling)
            rows.append(
                {
                    "n_decoding": n_sequences,
                    "is_prefilling": is_prefilling,
                    "p50_us": percentile(times_us, 50),
                    "p99_us": percentile(times_us, 99),
                }
            )
    return {
        "workload": "scheduler, microseconds a step",
        **record.code(),
        "settings": {"steps": args.steps},
        "rows": rows,
    }


def table(data: dict[str, Any]) -> str:
    """Return the record as text."""
    lines = [f"{data['workload']}, commit {data['commit']}, {data['machine']['cpu']}"]
    for row in data["rows"]:
        company = "and a prompt" if row["is_prefilling"] else ""
        lines.append(
            f"{row['n_decoding']:4d} decoding {company:<12}"
            f"   p50 {row['p50_us']:7.1f}   p99 {row['p99_us']:7.1f}"
        )
    return "\n".join(lines)


class _Clock:
    """The engine's clock, as the fake runner makes it go."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def run(self, plan: BatchPlan) -> StepResult:
        """Answer a plan with a token for every chunk that wants one."""
        duration_s = _STEP_S + _TOKEN_S * plan.n_tokens
        self.now_s += duration_s
        tokens = tuple(1 for chunk in plan.chunks if chunk.wants_token)
        return StepResult(StepStatus.OK, tokens, duration_s)


def _time_steps(n_sequences: int, n_steps: int, *, is_prefilling: bool) -> list[float]:
    """Return the microseconds of each step."""
    n_slots = n_sequences + is_prefilling
    clock = _Clock()
    scheduler = Scheduler(
        Limits(
            n_slots=n_slots,
            n_seq_ids=n_slots,
            is_unified=False,
            n_ctx_seq=_N_CTX_SEQ,
            n_cells=_N_CTX_SEQ * n_slots,
            n_batch=2048,
            n_ubatch=512,
        ),
        step_s=_TARGET_S,
    )
    sequences = [scheduler.add(_request(i, n_prompt=16)) for i in range(n_sequences)]
    while not all(sequence.is_decoding for sequence in sequences):
        _step(scheduler, clock)
    times_us = []
    prompt: Sequence | None = None
    for step in range(n_steps):
        # A new prompt whenever the last one is read and has its token.
        if is_prefilling and (prompt is None or prompt.status is Status.FINISHED):
            prompt = scheduler.add(_request(n_sequences + step, n_prompt=20_000, max_tokens=1))
        times_us.append(_step(scheduler, clock))
    return times_us


def _step(scheduler: Scheduler, clock: _Clock) -> float:
    start_ns = time.perf_counter_ns()
    plan = scheduler.schedule(clock.now_s)
    planned_ns = time.perf_counter_ns()
    result = clock.run(plan)
    ran_ns = time.perf_counter_ns()
    scheduler.update(plan, result, clock.now_s)
    return (planned_ns - start_ns + time.perf_counter_ns() - ran_ns) / 1e3


def _request(number: int, *, n_prompt: int, max_tokens: int = 1 << 16) -> Request:
    # The number comes first, so that no two prompts share a prefix.
    tokens = (number, *range(1000, 999 + n_prompt))
    return Request(id=str(number), tokens=tokens, max_tokens=max_tokens, arrival_s=0.0)
