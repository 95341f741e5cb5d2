"""Answers many lines at once: as many as the engine has slots, and as many waiting behind them."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

from pyllama.cli.batch.requests import begin
from pyllama.cli.batch.results import Result, answered, failed
from pyllama.errors import PyllamaError, QueueFull

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyllama import Llama
    from pyllama.cli.batch.lines import Line
    from pyllama.cli.interrupt import Interrupt
    from pyllama.generation import Generation

_PATIENCE_S = 0.1
# Results that wait for one before them, for each worker.
_DEPTH = 16


class Workers:
    """Threads that take lines from one iterator; their results come out on the caller's thread.

    Args:
        llm: the model.
        lines: what is to be answered; asked by one thread at a time.
    """

    def __init__(self, llm: Llama, lines: Iterator[Line]) -> None:
        self._llm = llm
        self._lines = lines
        self._n_taken = 0
        status = llm.status()
        # A slot that falls free finds the next prompt tokenised and waiting.
        self._n_workers = status.n_slots + min(status.n_slots, llm.settings.max_queue)
        self._room = threading.Semaphore(_DEPTH * self._n_workers)
        self._lock = threading.Lock()
        self._running: set[Generation] = set()
        self._is_stopped = False
        self._out: queue.SimpleQueue[tuple[int, Result] | BaseException | None] = (
            queue.SimpleQueue()
        )

    def run(
        self, write: Callable[[Result], None], interrupt: Interrupt, *, is_ordered: bool
    ) -> None:
        """Answer every line, or those that are done when somebody has enough of it.

        Args:
            write: takes each result.
            interrupt: ends the work; what is being answered then has no result.
            is_ordered: whether results come in the order of the lines.

        Raises:
            PyllamaError: the engine failed, or the input.
        """
        threads = [
            # A thread that waits for input must not hold up the end of the process.
            threading.Thread(target=self._work, name=f"pyllama-batch-{number}", daemon=True)
            for number in range(self._n_workers)
        ]
        for thread in threads:
            thread.start()
        try:
            self._collect(write, interrupt, is_ordered=is_ordered)
        finally:
            self._stop()

    def _collect(
        self, write: Callable[[Result], None], interrupt: Interrupt, *, is_ordered: bool
    ) -> None:
        n_open, n_written = self._n_workers, 0
        early: dict[int, Result] = {}
        while n_open:
            if interrupt.is_set:
                self._stop()
            try:
                item = self._out.get(timeout=_PATIENCE_S)
            except queue.Empty:
                if self._is_stopped and not self._running:
                    # A thread that still waits for input has nothing to say.
                    return
                continue
            if item is None:
                n_open -= 1
            elif isinstance(item, BaseException):
                raise item
            elif not is_ordered:
                write(item[1])
                self._room.release()
            else:
                early[item[0]] = item[1]
                while n_written in early:
                    write(early.pop(n_written))
                    n_written += 1
                    self._room.release()

    # ---- on the threads -------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            while (taken := self._take()) is not None:
                place, line = taken
                result = self._answer(line)
                if result is None:
                    break
                self._out.put((place, result))
        except BaseException as error:  # noqa: BLE001  (raised again on the caller's thread)
            self._out.put(error)
        finally:
            self._out.put(None)

    def _take(self) -> tuple[int, Line] | None:
        self._room.acquire()
        with self._lock:
            line = None if self._is_stopped else next(self._lines, None)
            if line is None:
                # The others that wait for room find the same.
                self._room.release()
                return None
            self._n_taken += 1
            return self._n_taken - 1, line

    def _answer(self, line: Line) -> Result | None:
        """Return the result of a line; None if it was stopped."""
        generation = None
        try:
            generation = self._begin(line)
            self._running.add(generation)
            if self._is_stopped:
                generation.close()
            for _ in generation:
                pass
            return None if self._is_stopped else answered(line, generation, self._llm.info.id)
        except PyllamaError as error:
            if self._is_stopped:
                return None
            if self._llm.status().state != "ready":
                # No fault of this line's: it is answered the next time.
                raise
            return failed(line, error)
        finally:
            if generation is not None:
                self._running.discard(generation)

    def _begin(self, line: Line) -> Generation:
        while True:
            try:
                return begin(line, self._llm)
            except QueueFull as error:  # noqa: PERF203  (a retry, and a rare one)
                # The engine counts an answer for a moment after its end.
                if self._is_stopped:
                    raise
                time.sleep(min(error.retry_after_s, _PATIENCE_S))

    def _stop(self) -> None:
        """Take no more lines, and end the answers in the making."""
        if self._is_stopped:
            return
        self._is_stopped = True
        for generation in list(self._running):
            generation.close()
        self._room.release(self._n_workers)
