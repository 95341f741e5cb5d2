"""From streams and counters to the figures of one measured phase."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from bench.client import Streamed


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What is reported of one phase of one server. Times are seconds."""

    wall_s: float
    """First request sent to last token received."""
    tokens_per_second: float
    """Generated tokens of all streams over ``wall_s``."""
    ttft_p50_s: float
    ttft_p95_s: float
    ttft_max_s: float
    gap_p50_s: float | None
    """Gaps between the chunks of a stream; None where every stream has but one chunk."""
    gap_p99_s: float | None
    gap_max_s: float | None
    peak_bytes: int
    """Peak resident memory of the server's processes during the phase."""
    server_cpu_s: float
    """CPU seconds of the server's processes during the phase."""
    client_cpu_share: float
    """CPU seconds of the load generator over ``wall_s``: 0.02 is two hundredths of a core."""

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of all figures."""
        return [field.name for field in fields(cls)]

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as JSON takes them."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What the machine counted while a phase ran."""

    peak_bytes: int
    server_cpu_s: float
    client_cpu_s: float


def compute(streams: Sequence[Streamed], counters: Counters) -> Figures:
    """Return the figures of the streams of one phase."""
    start_s = min(stream.start_s for stream in streams)
    end_s = max(stream.start_s + stream.token_s[-1] for stream in streams)
    wall_s = end_s - start_s
    ttft_s = [stream.ttft_s for stream in streams]
    gaps_s = [gap_s for stream in streams for gap_s in stream.gaps_s]
    return Figures(
        wall_s=wall_s,
        tokens_per_second=sum(stream.n_tokens for stream in streams) / wall_s,
        ttft_p50_s=percentile(ttft_s, 50),
        ttft_p95_s=percentile(ttft_s, 95),
        ttft_max_s=max(ttft_s),
        gap_p50_s=percentile(gaps_s, 50) if gaps_s else None,
        gap_p99_s=percentile(gaps_s, 99) if gaps_s else None,
        gap_max_s=max(gaps_s, default=None),
        peak_bytes=counters.peak_bytes,
        server_cpu_s=counters.server_cpu_s,
        client_cpu_share=counters.client_cpu_s / wall_s,
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value below which that share of the values lies, between two by interpolation."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(samples: Sequence[dict[str, Any]], name: str) -> float | None:
    """Return the median of a figure over the rounds; None where a round has none."""
    values = [sample[name] for sample in samples]
    return None if any(value is None for value in values) else float(statistics.median(values))
