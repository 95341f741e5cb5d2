"""The generations of one request on behalf of its client: the one loop that drains them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyllama.errors import Cancelled

from .pump import OwnThread, StreamTask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyllama.generations import Generations
    from pyllama.results import Completion, Delta

    from .client import ClientWatch
    from .pump import Pump, Runner
    from .request_log import RequestRecord


class Watched:
    """The generations of one request on behalf of one client.

    Args:
        generations: they were just started; closed by :meth:`close`.
        watch: tells when the client left.
        record: gets times, counts and the outcome.
        pump: takes in what comes, in the place of the request's own thread; None where there is
            none.
    """

    def __init__(
        self,
        generations: Generations,
        watch: ClientWatch,
        record: RequestRecord,
        pump: Pump | None = None,
    ) -> None:
        self.generations = generations
        self.record = record
        self._watch = watch
        self._runner: Runner = pump or OwnThread()

    def drain(
        self,
        take: Callable[[int, Delta], bool],
        look: Callable[[], bool] = lambda: False,
        runner: Runner | None = None,
    ) -> Iterator[tuple[int, Delta] | None]:
        """Give what comes to ``take``, until the last answer has ended.

        Yields where only the thread that iterates, the request's own, may go on: the last delta of
        each answer, which it computes here, and None where ``take`` or ``look`` returned True.
        Between, it sleeps, or waits itself, as the runner has it.

        Args:
            take: gets each answer's index and delta but for the last; returns whether the own
                thread has to go on. Like ``look`` it may be called by the pump: it may not block.
            look: called several times a second; returns the same.
            runner: calls both; None is the pump, where there is one.

        Raises:
            EngineError: a generation failed.
            Cancelled: the server shuts down and could wait no longer; ClientGone: nobody reads.
            InvalidResponse: an answer is not what was asked for.
        """
        task = self._task(take, look)
        while not self.generations.is_whole:
            try:
                last = self.generations.finish()
            except StopIteration:
                raise Cancelled("the answer was closed before it was complete") from None
            if last is not None:
                self.record.note_delta()
                yield last
            else:
                task.run_on(runner or self._runner)
                yield None

    def collect(self) -> list[Completion]:
        """Return the whole answers; raises what :meth:`drain` does."""
        for _ in self.drain(lambda _index, _delta: False):
            pass
        return self.generations.completions

    def close(self) -> None:
        """Free the slots, aborting what still runs; idempotent."""
        self.record.note_end(self.generations, is_whole=self.generations.is_whole)
        self.generations.close()

    def _task(self, take: Callable[[int, Delta], bool], look: Callable[[], bool]) -> StreamTask:
        generations, record, watch = self.generations, self.record, self._watch

        def advance(timeout_s: float) -> bool:
            # It only reads: the end of an answer takes long and is for the own thread.
            try:
                while (item := generations.read(timeout_s)) is not None:
                    record.note_delta()
                    if take(*item):
                        return True
                    timeout_s = 0.0
            except StopIteration:
                return True
            return generations.is_ending

        def look_after() -> bool:
            watch.look()
            return look()

        return StreamTask(advance, look_after, generations.notify)
