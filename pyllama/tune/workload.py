"""What is measured of an engine: prompts and answers as a server gets them, without the server."""

from __future__ import annotations

import random
import time
from collections import deque
from dataclasses import dataclass

from pyllama.engine import Embedder, Engine, Failed, LoadedModel, make_runner, make_sampler
from pyllama.engine.ticket import Ticket
from pyllama.errors import ConfigError
from pyllama.params import GenerationParams
from pyllama.sched import Finished, Request, Scheduler, Started, TokenSampled
from pyllama.settings import Settings
from pyllama.text import Prompt
from pyllama.tune.space import DECODE_ALL, DECODE_ONE, PREFILL

# More slots than these say nothing new, and each has to be filled first.
_MAX_PARALLEL = 8
_MAX_DEPTH = 1024
_MIN_DEPTH = 16
_PARAMS = GenerationParams().with_options(ignore_eos=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Sizes of the work."""

    depth: int
    """Tokens of a prompt."""
    n_tokens: int
    """Tokens of an answer."""
    n_parallel: int
    """Requests of :data:`~pyllama.tune.space.DECODE_ALL`."""


@dataclass(slots=True)
class _Seen:
    """One request's course, in seconds of the engine's clock."""

    start_s: float
    n_cached: int
    token_s: list[float]


class EngineLane:
    """An engine of its own over a loaded model's context, which it closes with itself.

    Prompts are random tokens from a fixed seed: every lane computes the same ones in the same
    order, and none shares a prefix with another.
    """

    def __init__(self, loaded: LoadedModel, settings: Settings) -> None:
        self._loaded = loaded
        self._random = random.Random(1)  # noqa: S311  (no secret)
        self._vocabulary = sorted(set(range(loaded.vocab.n_tokens)) - loaded.limits.eog_tokens)
        self._engine = Engine(
            make_runner(loaded),
            Scheduler(loaded.limits, step_s=settings.step_ms / 1e3),
            Embedder(loaded.open_embeddings, step_s=settings.step_ms / 1e3),
            max_queue=0,
            on_stop=loaded.close,
        )
        self.workload = Workload(depth=_MIN_DEPTH, n_tokens=4, n_parallel=1)
        self._prompts: deque[tuple[int, ...]] = deque(maxlen=_MAX_PARALLEL)

    def measure(self, figure: str) -> float:
        """Do a figure's work; return its rate in tokens a second."""
        work = self.workload
        if figure == PREFILL:
            return self.prefill(work.depth)
        n_prompts = {DECODE_ONE: 1, DECODE_ALL: work.n_parallel}[figure]
        while len(self._prompts) < n_prompts:
            self._prompts.append(self._prompt(work.depth))
        prompts = list(self._prompts)[-n_prompts:]
        return self.decode(prompts, work.n_tokens)

    def prefill(self, depth: int) -> float:
        """Compute a new prompt alone; return its tokens a second."""
        prompt = self._prompt(depth)
        self._prompts.append(prompt)
        (seen,) = self._run([prompt], 1)
        return (depth - seen.n_cached) / (seen.token_s[0] - seen.start_s)

    def decode(self, prompts: list[tuple[int, ...]], n_tokens: int) -> float:
        """Answer prompts at the same time; return the tokens a second while all of them run.

        The prompts are not measured: slots that hold them still reuse them.
        """
        streams = [seen.token_s for seen in self._run(prompts, n_tokens)]
        start_s = max(times[0] for times in streams)
        end_s = min(times[-1] for times in streams)
        n_within = sum(start_s < time_s <= end_s for times in streams for time_s in times)
        # Where one ends before another begins, all of it is what there is.
        if n_within == 0:
            start_s = min(times[0] for times in streams)
            end_s = max(times[-1] for times in streams)
            n_within = sum(len(times) for times in streams) - 1
        return n_within / (end_s - start_s)

    def close(self) -> None:
        """Stop the engine and free its context; the weights stay with the model."""
        self._engine.close()

    def _prompt(self, depth: int) -> tuple[int, ...]:
        return tuple(self._random.choices(self._vocabulary, k=depth))

    def _run(self, prompts: list[tuple[int, ...]], n_tokens: int) -> list[_Seen]:
        tickets = [
            self._engine.submit(
                Request(
                    id=str(index),
                    tokens=prompt,
                    max_tokens=n_tokens,
                    arrival_s=time.monotonic(),
                    sampler=make_sampler(
                        self._loaded.model, _PARAMS, Prompt(prompt), self._loaded.limits.n_ctx_seq
                    ),
                )
            )
            for index, prompt in enumerate(prompts)
        ]
        return [_watch(ticket) for ticket in tickets]


def fitting(lane: EngineLane, loaded: LoadedModel, seconds: float) -> Workload:
    """Return work that this machine does often enough within the time; measures some of it.

    Raises:
        ConfigError: a slot's context is too small to measure anything in it.
    """
    n_ctx = loaded.limits.n_ctx_seq
    n_parallel = min(loaded.limits.n_slots, _MAX_PARALLEL)
    rate = 0.0
    for depth in (64, 256, 1024):
        if depth + 1 > n_ctx:
            break
        rate = lane.prefill(depth)
        # The first one is slow for other reasons too, on a GPU.
        if depth / rate > 0.005 * seconds:
            break
    n_tokens = max(8, min(64, int(0.006 * seconds * lane.decode([(1, 2, 3)], 8))))
    # In a unified pool n_ctx is the room of all slots together.
    room = min(_MAX_DEPTH, loaded.limits.n_cells // loaded.limits.n_slots - n_tokens)
    # Filling every slot once shall take a twentieth of the time.
    wanted = int(rate * seconds / (20 * n_parallel)) // 64 * 64
    depth = min(max(wanted, 64), room)
    if depth < _MIN_DEPTH:
        raise ConfigError("the context is too small to measure anything in it; raise --ctx-size")
    return Workload(depth=depth, n_tokens=n_tokens, n_parallel=n_parallel)


def _watch(ticket: Ticket) -> _Seen:
    """Read a request to its end. Raises what ended it otherwise."""
    seen = _Seen(0.0, 0, [])
    while True:
        for event in ticket.stream.get(None):
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Finished):
                return seen
            if isinstance(event, Started):
                seen.start_s, seen.n_cached = event.now_s, event.n_cached
            elif isinstance(event, TokenSampled):
                seen.token_s.append(event.now_s)
