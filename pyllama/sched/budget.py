"""How many prompt tokens a step may carry, so that running streams keep their pace."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyllama.sched.limits import Limits
    from pyllama.sched.plan import BatchPlan

# Weight of the newest measurement in the moving averages.
_ALPHA = 0.3
# A chunk below this many tokens wastes the pass over the weights that it costs.
_MIN_CHUNK = 32
_FIRST_CHUNK = 128
# A prefill without decoding company delays only arrivals and cancellations: it may take longer.
_ALONE_FACTOR = 4.0


class PrefillBudget:
    """Learns what a prompt token costs and fits chunks to a target step time.

    Args:
        limits: batch sizes of the context.
        step_s: target duration of a step that carries decoding sequences, seconds.
    """

    def __init__(self, limits: Limits, step_s: float) -> None:
        self._limits = limits
        self._step_s = step_s
        self._decode_s = 0.0
        self._token_s: float | None = None

    @property
    def token_s(self) -> float | None:
        """What a prompt token costs, seconds; None until one was computed."""
        return self._token_s

    def tokens(self, n_decoding: int) -> int:
        """Return how many prompt tokens the next step may carry beside its decoding rows."""
        if self._token_s is None:
            # Nothing is known yet: a chunk that even a slow machine computes in a moment.
            return min(_FIRST_CHUNK, self._limits.n_batch)
        if n_decoding:
            room_s = self._step_s - self._decode_s
            floor = _MIN_CHUNK
        else:
            room_s = self._step_s * _ALONE_FACTOR
            floor = _MIN_CHUNK * 2
        # Whole multiples of the floor keep the shapes of the compute graphs few.
        n_tokens = int(max(room_s, 0.0) / self._token_s) // _MIN_CHUNK * _MIN_CHUNK
        return max(floor, min(n_tokens, self._limits.n_batch))

    def observe(self, plan: BatchPlan, duration_s: float) -> None:
        """Learn from a step that ran to its end."""
        if not plan.chunks:
            # Memory was tidied up, nothing computed: that says nothing of a decode's duration.
            return
        n_decoding = plan.n_decoding
        n_prompt = plan.n_tokens - n_decoding
        if n_prompt == 0:
            self._decode_s += _ALPHA * (duration_s - self._decode_s)
        elif n_prompt >= _MIN_CHUNK:
            rest_s = max(duration_s - (self._decode_s if n_decoding else 0.0), duration_s * 0.1)
            cost_s = rest_s / n_prompt
            known_s = self._token_s if self._token_s is not None else cost_s
            self._token_s = known_s + _ALPHA * (cost_s - known_s)
