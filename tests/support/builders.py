"""Short ways to the objects that scheduler and engine tests begin with."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from collections.abc import Sequence as TokenSequence
from typing import Any

from pyllama.sched import (
    BatchPlan,
    Event,
    Limits,
    MediaSpan,
    Request,
    Scheduler,
    StepResult,
    StepStatus,
)

_ids = itertools.count()


def limits(**changes: Any) -> Limits:
    """Return two streams of 1,000 cells, batches of 512, unless told otherwise."""
    n_slots = changes.setdefault("n_slots", 2)
    n_ctx_seq = changes.setdefault("n_ctx_seq", 1000)
    changes.setdefault("n_cells", n_slots * n_ctx_seq)
    changes.setdefault("n_batch", 512)
    changes.setdefault("n_ubatch", changes["n_batch"])
    changes.setdefault("n_seq_ids", n_slots)
    changes.setdefault("is_unified", False)
    return Limits(**changes)


def pool(n_cells: int, **changes: Any) -> Limits:
    """Return slots that share so many cells, any of them as long as the whole pool."""
    changes.setdefault("is_unified", True)
    return limits(n_ctx_seq=n_cells, n_cells=n_cells, **changes)


def request(tokens: TokenSequence[int] | int = 10, max_tokens: int = 5, **changes: Any) -> Request:
    """Return a request for a prompt, given as tokens or as how many that no other prompt has."""
    number = next(_ids)
    if isinstance(tokens, int):
        tokens = [1000 * (number + 1) + index for index in range(tokens)]
    return Request(
        id=f"r{number}",
        tokens=tuple(tokens),
        max_tokens=max_tokens,
        **{"arrival_s": 0.0, **changes},
    )


def pictured(parts: Iterable[tuple[int, ...]], max_tokens: int = 5, **changes: Any) -> Request:
    """Return a request for a prompt of several parts; one of negative tokens is a picture."""
    tokens: list[int] = []
    spans = []
    for part in parts:
        if part[0] < 0:
            spans.append(MediaSpan(len(tokens), len(part), content=object()))
        tokens += part
    return request(tokens, max_tokens, media=tuple(spans), **changes)


def ok(plan: BatchPlan, token: int = 7, duration_s: float = 0.01) -> StepResult:
    """Return the result of a step that sampled one and the same token everywhere."""
    n_rows = sum(chunk.wants_token for chunk in plan.chunks)
    return StepResult(StepStatus.OK, (token,) * n_rows, duration_s)


class Driver:
    """Steps a scheduler with results made up on the spot; keeps the plans and the events."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.plans: list[BatchPlan] = []
        self.events: list[Event] = []
        self.now_s = 0.0

    def step(
        self, status: StepStatus = StepStatus.OK, *, token: int = 7, duration_s: float = 0.01
    ) -> BatchPlan:
        """Schedule, answer, take in; return the plan."""
        plan = self.scheduler.schedule(self.now_s)
        assert plan.n_tokens <= self.scheduler.pool.n_cells_free
        self.now_s += duration_s
        result = ok(plan, token, duration_s) if status is StepStatus.OK else StepResult(status)
        self.events += self.scheduler.update(plan, result, self.now_s)
        self.plans.append(plan)
        return plan

    def finish(self, max_steps: int = 1000) -> None:
        """Step until nothing is left to do."""
        for _ in range(max_steps):
            if not self.scheduler.has_work:
                return
            self.step()
        raise AssertionError(f"still at work after {max_steps} steps")


def shape(plan: BatchPlan) -> list[tuple[int, int, int]]:
    """Return a plan's chunks as (sequence id, start, count)."""
    return [(chunk.seq_id, chunk.start, chunk.count) for chunk in plan.chunks]
