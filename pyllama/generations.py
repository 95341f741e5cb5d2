"""The answers to one request that asks for several: one consumer, each delta with its index."""

from __future__ import annotations

import queue
import time
from collections import deque
from typing import TYPE_CHECKING

from pyllama.process import Process
from pyllama.results import Timings, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyllama.generation import Generation
    from pyllama.results import Completion, Delta, QueuePlace


class Rings:
    """Which of several answers may have something new: told by the engine thread, for one consumer.

    Attributes:
        listener: called after each ring, on the engine thread; must not block.
    """

    __slots__ = ("_indices", "listener")

    def __init__(self) -> None:
        self._indices: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.listener: Callable[[], None] | None = None

    def ring(self, index: int) -> None:
        """Tell that an answer may have something new."""
        self._indices.put(index)
        if (listener := self.listener) is not None:
            listener()

    @property
    def is_any_left(self) -> bool:
        """Whether a ring was not returned yet."""
        return not self._indices.empty()

    def wait(self, timeout_s: float | None) -> int | None:
        """Return the index that was rung first and not returned yet, or None after the timeout."""
        try:
            return self._indices.get(timeout=timeout_s)
        except queue.Empty:
            return None


class Generations:
    """Several answers in the making, for one consumer.

    Iterate for pairs of an answer's index and its :class:`~pyllama.results.Delta`. A failure of
    one answer ends them all, as does :meth:`close`.

    Args:
        generations: the answers; closed with this object.
        rings: gets the index of each answer that may have something new.
    """

    def __init__(self, generations: Sequence[Generation], rings: Rings) -> None:
        self.generations = tuple(generations)
        self._rings = rings
        self._n_open = len(self.generations)
        self._ending: deque[int] = deque()
        self._process = Process()

    def __len__(self) -> int:
        """Return how many answers there are."""
        return len(self.generations)

    def __iter__(self) -> Generations:
        """Return itself."""
        return self

    def __next__(self) -> tuple[int, Delta]:
        """Wait for the next delta of any answer; raises what :meth:`poll` raises."""
        while (item := self.poll(None)) is None:
            pass
        return item

    def poll(self, timeout_s: float | None = None) -> tuple[int, Delta] | None:
        """Return the index and the next delta of an answer, or None where none came in time.

        Args:
            timeout_s: seconds to wait; None waits for as long as it takes.

        Raises:
            StopIteration: every answer has ended, or this object was closed.
            EngineError, Cancelled, InvalidResponse: one of the answers failed; all are closed.
        """
        self._process.check()
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while self._n_open:
            if self._ending and not self._is_heard:
                index: int | None = self._ending.popleft()
            else:
                left_s = None if deadline_s is None else max(deadline_s - time.monotonic(), 0.0)
                index = self._rings.wait(left_s)
            if index is None:
                return None
            delta = self._poll_one(index)
            if delta is not None:
                return index, delta
            if self.is_ending and self._is_heard:
                return None
        raise StopIteration

    @property
    def has_news(self) -> bool:
        """Whether :meth:`poll` may return a delta, or raise, without waiting."""
        return self._n_open == 0 or self._rings.is_any_left

    @property
    def is_ending(self) -> bool:
        """Whether the end of an answer waits for a :meth:`poll` that nobody listens to."""
        return bool(self._ending)

    def listen(self, listener: Callable[[], None] | None) -> None:
        """Have a function called after each event of any answer; None ends that.

        Who listens serves others as well: until that ends, :meth:`poll` leaves undone what an
        answer's end may take long for, and :attr:`is_ending` tells of it.

        Args:
            listener: called on the engine thread; must not block.
        """
        self._rings.listener = listener

    @property
    def _is_heard(self) -> bool:
        return self._rings.listener is not None

    def results(self) -> list[Completion]:
        """Wait for the end; return every answer. Ends them where the wait is interrupted."""
        try:
            for _ in self:
                pass
        except BaseException:
            self.close()
            raise
        return self.completions

    @property
    def completions(self) -> list[Completion]:
        """Every answer, whole. Raises RuntimeError before the end of the last."""
        return [generation.completion for generation in self.generations]

    @property
    def usage(self) -> Usage:
        """Tokens so far; a prompt that several answers continue counts once."""
        prompts = {id(item.prompt): item.usage for item in reversed(self.generations)}
        return Usage(
            prompt_tokens=sum(usage.prompt_tokens for usage in prompts.values()),
            completion_tokens=sum(item.usage.completion_tokens for item in self.generations),
            cached_tokens=sum(usage.cached_tokens for usage in prompts.values()),
            reasoning_tokens=sum(item.usage.reasoning_tokens for item in self.generations),
        )

    @property
    def timings(self) -> Timings:
        """Durations so far: counts of all answers, durations of the longest."""
        parts = [item.timings for item in self.generations]
        return Timings(
            cache_n=sum(part.cache_n for part in parts),
            prompt_n=sum(part.prompt_n for part in parts),
            prompt_ms=max(part.prompt_ms for part in parts),
            predicted_n=sum(part.predicted_n for part in parts),
            predicted_ms=max(part.predicted_ms for part in parts),
            queue_ms=max(part.queue_ms for part in parts),
            draft_n=sum(part.draft_n for part in parts),
            draft_n_accepted=sum(part.draft_n_accepted for part in parts),
        )

    @property
    def queue_place(self) -> QueuePlace | None:
        """Where the last of the answers waits for a slot; None where none of them does."""
        places = [place for item in self.generations if (place := item.queue_place) is not None]
        return max(places, key=lambda place: place.position, default=None)

    def close(self) -> None:
        """End every answer and free the slots; idempotent, from any thread."""
        for generation in self.generations:
            generation.close()
        self._n_open = 0

    def _poll_one(self, index: int) -> Delta | None:
        try:
            generation = self.generations[index]
            delta = generation.poll(0.0, may_end=not self._is_heard)
            if generation.is_ending and index not in self._ending:
                self._ending.append(index)
        except StopIteration:
            # A late ring of an answer that has ended.
            return None
        except Exception:
            self.close()
            raise
        if delta is not None and delta.finish_reason is not None:
            self._n_open -= 1
        return delta
