"""The answers to one request that asks for several: one consumer, each delta with its index."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from pyllama.process import Process
from pyllama.results import Timings, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyllama.engine import Mailbox
    from pyllama.generation import Generation
    from pyllama.results import Completion, Delta, QueuePlace


class Generations:
    """Several answers in the making, for one consumer.

    Iterate for pairs of an answer's index and its :class:`~pyllama.results.Delta`. A failure of
    one answer ends them all, as does :meth:`close`.

    Args:
        generations: the answers; closed with this object.
        mailbox: gets the events of all of them; an answer's index is that of its stream.
    """

    def __init__(self, generations: Sequence[Generation], mailbox: Mailbox) -> None:
        self.generations = tuple(generations)
        self._mailbox = mailbox
        self._open = set(range(len(self.generations)))
        self._ready: deque[int] = deque()
        self._ending: deque[int] = deque()
        self._is_closed = False
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
            Forked: the engine is in another process.
            EngineError, Cancelled, InvalidResponse: one of the answers failed; all are closed.
        """
        self._process.check()
        item = self.read(timeout_s)
        return item if item is not None else self.finish()

    def read(self, timeout_s: float | None = None) -> tuple[int, Delta] | None:
        """Return as :meth:`poll`, but never an answer's last delta; apart from waiting it is quick.

        Returns None as well where an answer is ending (:attr:`is_ending`): what that takes is for
        :meth:`finish`, on a thread that holds up nobody.
        """
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._ending:
            self._check_open()
            if not self._ready:
                left_s = None if deadline_s is None else max(deadline_s - time.monotonic(), 0.0)
                self._ready.extend(self._mailbox.receive(left_s))
                if not self._ready:
                    return None
            index = self._ready.popleft()
            delta = self._read_one(index)
            if delta is not None:
                return index, delta
        return None

    def finish(self) -> tuple[int, Delta] | None:
        """Return the last delta of an answer that is ending, or None where none is.

        May take long. Raises what :meth:`poll` raises.
        """
        self._check_open()
        if not self._ending:
            return None
        index = self._ending.popleft()
        try:
            delta = self.generations[index].finish()
        except BaseException:
            self.close()
            raise
        self._open.discard(index)
        return index, delta

    @property
    def is_ending(self) -> bool:
        """Whether an answer waits for :meth:`finish`."""
        return bool(self._ending)

    @property
    def is_whole(self) -> bool:
        """Whether every answer has ended by itself."""
        return not self._open and all(item.is_whole for item in self.generations)

    def notify(self, call: Callable[[], None] | None) -> None:
        """Have a function called whenever :meth:`read` may find something; None ends that.

        Args:
            call: runs on the engine thread; must not block.
        """
        self._mailbox.notify(call)

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
        # First: a consumer that is woken by the close of an answer shall not wait again.
        self._is_closed = True
        for generation in self.generations:
            generation.close()

    def _check_open(self) -> None:
        if self._is_closed or not self._open:
            raise StopIteration

    def _read_one(self, index: int) -> Delta | None:
        generation = self.generations[index]
        try:
            delta = generation.read()
        except StopIteration:
            # Closed on its own, or a late event of an answer that has ended.
            self._open.discard(index)
            return None
        except BaseException:
            self.close()
            raise
        if generation.is_ending:
            self._ending.append(index)
        return delta
