"""How many prompt tokens a step may carry, so that running streams keep their pace."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyllama.sched.limits import Limits
    from pyllama.sched.plan import BatchPlan

# Weight of the newest measurement in the moving average of a decode.
_ALPHA = 0.3
# What a measurement of prompt tokens still weighs when the next one comes.
_DECAY = 0.85
# A chunk below this many tokens wastes the pass over the weights that it costs, and llama.cpp's CPU
# kernel for attention computes fewer rows several times slower: the chunks would shrink on and on.
MIN_CHUNK = 64
_FIRST_CHUNK = 128
# Depths that differ by less than this say nothing of what depth costs.
_MIN_SPREAD = 64.0
# A prefill that is batched with no decoding sequence delays only arrivals and cancellations: it may
# take longer.
_ALONE_FACTOR = 4.0
# Where more prompts wait than streams run, a longer step serves more people than it delays.
_CROWD_FACTOR = 2.0


class TokenCost:
    """Learns what a prompt token costs at each depth: a line through recent measurements.

    A token attends to all before it, so the last chunk of a long prompt costs a multiple of the
    first one. An average would always be late and make the chunks too long.
    """

    def __init__(self) -> None:
        self._n = 0.0
        self._depth = 0.0
        self._depth2 = 0.0
        self._cost = 0.0
        self._cost_depth = 0.0
        self._slope_s = 0.0

    @property
    def is_known(self) -> bool:
        """Whether anything was measured yet."""
        return self._n > 0

    @property
    def mean_s(self) -> float | None:
        """Cost of a token at the mean depth measured, seconds; None before the first."""
        return self._cost / self._n if self._n else None

    def observe(self, n_tokens: int, depth: float, duration_s: float) -> None:
        """Learn from a chunk: its tokens, the mean number of cells before them, its duration."""
        cost_s = duration_s / n_tokens
        self._n = self._n * _DECAY + n_tokens
        self._depth = self._depth * _DECAY + n_tokens * depth
        self._depth2 = self._depth2 * _DECAY + n_tokens * depth * depth
        self._cost = self._cost * _DECAY + n_tokens * cost_s
        self._cost_depth = self._cost_depth * _DECAY + n_tokens * cost_s * depth
        depth_mean, cost_mean = self._depth / self._n, self._cost / self._n
        variance = self._depth2 / self._n - depth_mean * depth_mean
        if variance >= _MIN_SPREAD * _MIN_SPREAD:
            slope_s = (self._cost_depth / self._n - depth_mean * cost_mean) / variance
            # Depth never makes a token cheaper, and the first one costs something too.
            self._slope_s = min(max(slope_s, 0.0), 0.8 * cost_mean / max(depth_mean, 1.0))

    def n_tokens(self, room_s: float, depth: int) -> int:
        """Return how many tokens from this depth on fit into a time."""
        at_start_s = self._cost / self._n - self._slope_s * self._depth / self._n
        first_s = max(at_start_s + self._slope_s * depth, 1e-9)
        if self._slope_s * room_s < 1e-6 * first_s * first_s:
            return int(room_s / first_s)
        root_s = math.sqrt(first_s * first_s + 2.0 * self._slope_s * room_s)
        return int((root_s - first_s) / self._slope_s)


class PrefillBudget:
    """Fits chunks to a target step time.

    Args:
        limits: batch sizes of the context.
        step_s: target duration of a step that carries decoding sequences, seconds.
    """

    def __init__(self, limits: Limits, step_s: float) -> None:
        self._limits = limits
        self._step_s = step_s
        self._decode_s = 0.0
        self._cost = TokenCost()
        # Prompt tokens of the longest step that was measured.
        self._n_measured = 0

    @property
    def token_s(self) -> float | None:
        """Cost of a prompt token at the mean depth so far, seconds; None before the first."""
        return self._cost.mean_s

    def tokens(self, n_decoding: int, n_prompts: int = 1, depth: int = 0) -> int:
        """Return how many prompt tokens the next step may carry beside its decoding rows.

        Args:
            n_decoding: sequences that get their next token in this step.
            n_prompts: sequences whose prompt is being computed.
            depth: cells that the longest of those prompts has already.
        """
        if not self._cost.is_known:
            # Nothing is known yet: a chunk that even a slow machine computes in a moment.
            return min(_FIRST_CHUNK, self._limits.n_batch)
        if n_decoding:
            crowd = min(max(n_prompts / n_decoding, 1.0), _CROWD_FACTOR)
            room_s = self._step_s * crowd - self._decode_s
            floor = MIN_CHUNK
            # What depth costs is not known from the first short chunk, and streams wait for it.
            most = min(self._n_measured * 2, self._limits.n_batch)
        else:
            room_s = self._step_s * _ALONE_FACTOR
            floor = MIN_CHUNK * 2
            most = self._limits.n_batch
        n_tokens = self._cost.n_tokens(max(room_s, 0.0), depth)
        return max(floor, min(n_tokens, most))

    def observe(self, plan: BatchPlan, duration_s: float) -> None:
        """Learn from a step that ran to its end."""
        if not plan.chunks or plan.media is not None:
            # Memory was tidied up or a picture was looked at: neither says anything of text.
            return
        prompts = [chunk for chunk in plan.chunks if not chunk.sequence.is_decoding]
        has_decodes = len(prompts) < len(plan.chunks)
        n_prompt = sum(chunk.count for chunk in prompts)
        if n_prompt == 0:
            self._decode_s += _ALPHA * (duration_s - self._decode_s)
        elif n_prompt >= MIN_CHUNK:
            rest_s = max(duration_s - (self._decode_s if has_decodes else 0.0), duration_s * 0.1)
            depth = sum(chunk.count * (chunk.start + chunk.count / 2) for chunk in prompts)
            self._cost.observe(n_prompt, depth / n_prompt, rest_s)
            self._n_measured = max(self._n_measured, n_prompt)
