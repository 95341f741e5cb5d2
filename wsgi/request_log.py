"""One log line for each request, written when its answer is whole. Prompts are never in it."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyllama.generations import Generations

_log = logging.getLogger("pyllama.request")

_FIRST_ERROR = 400
_CLIENT_CLOSED_REQUEST = 499


class RequestRecord:
    """What is known about one request; used by one thread.

    Args:
        request_id: the client's id for it, or ours.
        method: the HTTP method.
    """

    def __init__(self, request_id: str, method: str) -> None:
        self.request_id = request_id
        self.route: str | None = None
        self._method = method
        self._started_s = time.monotonic()
        self._is_written = False
        self._facts: dict[str, Any] = {}

    def begin(self, completion_id: str, n_prompt_tokens: int) -> None:
        """Note that a generation was started."""
        # Until it runs to its end, a generation counts as one that was cut short.
        self._facts.update(id=completion_id, prompt_tokens=n_prompt_tokens, finish="cancelled")

    def note_delta(self) -> None:
        """Note that a part of an answer arrived."""
        if "ttft_ms" not in self._facts:
            self._facts["ttft_ms"] = self._elapsed_ms()

    def note_end(self, generations: Generations, *, is_whole: bool) -> None:
        """Note what the generations cost, and why they ended if they did so by themselves."""
        usage, timings = generations.usage, generations.timings
        self._facts["completion_tokens"] = usage.completion_tokens
        if not is_whole:
            return
        reasons = dict.fromkeys(done.finish_reason for done in generations.generations)
        self._facts.update(
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            queue_ms=round(timings.queue_ms, 1),
            prompt_ms=round(timings.prompt_ms, 1),
            decode_ms=round(timings.predicted_ms, 1),
            finish=",".join(reasons),
        )

    def note(self, **facts: float) -> None:
        """Note figures of a request that generates nothing."""
        self._facts.update(facts)

    def write(self, status: int) -> None:
        """Write the line; only the first call does.

        Requests that cannot start a generation are logged at DEBUG: there are many of them, from
        probes, and nothing to see.
        """
        if self._is_written:
            return
        self._is_written = True
        facts = {
            "request_id": self.request_id,
            "method": self._method,
            "route": self.route or "-",
            "status": status,
            "total_ms": self._elapsed_ms(),
            **self._facts,
        }
        if "finish" in facts and status >= _FIRST_ERROR and status != _CLIENT_CLOSED_REQUEST:
            facts["finish"] = "error"
        level = logging.DEBUG if self._method in {"GET", "HEAD", "OPTIONS"} else logging.INFO
        line = " ".join(f"{name}={value}" for name, value in facts.items())
        _log.log(level, "%s", line, extra={"request": facts})

    def _elapsed_ms(self) -> float:
        return round(1e3 * (time.monotonic() - self._started_s), 1)
