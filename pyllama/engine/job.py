"""What the engine knows of a request, whatever is computed for it, and of what computes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from pyllama.engine.meter import Meter
    from pyllama.errors import PyllamaError


class Job(Protocol):
    """An accepted request, as its owner holds it: to read what comes of it, and to abort it."""

    @property
    def abort_reason(self) -> str | None:
        """What the metrics count it as once its owner waits no longer; None while it does."""

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for a slot."""

    def abort(self, reason: str) -> None:
        """Note that nobody waits for it; any thread may call it, and the first reason counts."""

    def end(self, error: PyllamaError | None) -> None:
        """Tell whoever reads that this was all. Called on the engine thread, once.

        Args:
            error: why there is no answer; None where there is one.
        """


class Ended(NamedTuple):
    """A job that a step was the last one of."""

    job: Job
    error: PyllamaError | None = None
    reason: str = "error"
    """What the metrics count it as, where nobody aborted it."""


JobT_contra = TypeVar("JobT_contra", bound=Job, contravariant=True)


class Work(Protocol[JobT_contra]):
    """What computes one kind of job. Called on the engine thread, but for :meth:`cut_short`."""

    @property
    def has_work(self) -> bool:
        """Whether there is anything to compute."""

    def start(self, job: JobT_contra) -> None:
        """Let a job take part in the steps from now on."""

    def step(self, meter: Meter, *, is_shared: bool) -> list[Ended]:
        """Compute a batch.

        Args:
            meter: counts it.
            is_shared: whether other kinds of jobs wait meanwhile.

        Returns:
            The jobs that are over with it, which are forgotten and still to be told.
        """

    def abort(self, job: JobT_contra) -> bool:
        """Forget a job wherever it stands; return whether it was there."""

    def cut_short(self, job: JobT_contra) -> None:
        """Let a long step of a job that was aborted end early; any thread may call it."""
