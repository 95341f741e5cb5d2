"""Stands in for a runner where a model generates nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyllama.sched import StepResult, StepStatus

if TYPE_CHECKING:
    from pyllama.sched import BatchPlan, Limits


class IdleRunner:
    """Runs plans without sequences; there are no others, since no request is taken.

    Args:
        limits: of the scheduler that makes the plans.
    """

    def __init__(self, limits: Limits) -> None:
        self._n_seq_ids = limits.n_seq_ids

    def run(self, _plan: BatchPlan) -> StepResult:
        """Do nothing."""
        return StepResult(StepStatus.OK)

    def interrupt(self) -> None:
        """Do nothing: nothing runs."""

    def clear_interrupt(self) -> None:
        """Do nothing."""

    def cells(self) -> dict[int, int]:
        """Return that no slot holds anything."""
        return dict.fromkeys(range(self._n_seq_ids), 0)
