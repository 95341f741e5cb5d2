"""``GET /metrics``: the engine's counts in Prometheus' text format.

llama-server's names come first, with its meaning, so that dashboards made for it work; what it
does not count has names of ours.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import falcon
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from pyllama.errors import Disabled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyllama.metrics import HistogramSnapshot, Metrics

    from ..host import Host


class MetricsEndpoint:
    """``GET /metrics``, where ``--metrics`` turned it on."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._rates = Rates()

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer from counts that are at hand; never waits for the engine."""
        llm = self._host.get()
        if not llm.settings.metrics:
            raise Disabled("/metrics is off; start the server with --metrics")
        metrics = llm.metrics()
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Snapshot(metrics, *self._rates.since_last(metrics)))
        resp.content_type = CONTENT_TYPE_PLAIN_0_0_4
        resp.set_header("Process-Start-Time-Unix", str(llm.info.created))
        resp.data = generate_latest(registry)


class Rates:
    """Tokens per second between two scrapes, as llama-server reports them. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = (0, 0.0, 0, 0.0)

    def since_last(self, now: Metrics) -> tuple[float, float]:
        """Return the rates of prompt tokens and of predicted ones; 0 where none were made."""
        current = (now.prompt_tokens, now.prompt_s, now.predicted_tokens, now.predicted_s)
        with self._lock:
            n_prompt, prompt_s, n_predicted, predicted_s = (
                new - old for new, old in zip(current, self._last, strict=True)
            )
            self._last = current
        return (
            n_prompt / prompt_s if prompt_s > 0 else 0.0,
            n_predicted / predicted_s if predicted_s > 0 else 0.0,
        )


class _Snapshot(Collector):
    def __init__(self, metrics: Metrics, prompt_rate: float, predicted_rate: float) -> None:
        self._metrics = metrics
        self._prompt_rate = prompt_rate
        self._predicted_rate = predicted_rate

    def collect(self) -> Iterable[Metric]:
        """Return every family, llama-server's first."""
        yield from self._of_llama_server()
        yield from self._of_our_own()

    def _of_llama_server(self) -> Iterator[Metric]:
        now = self._metrics
        for name, text, value in (
            ("prompt_tokens", "Prompt tokens computed.", now.prompt_tokens),
            ("prompt_tokens_cached", "Prompt tokens reused from the cache.", now.cached_tokens),
            ("prompt_seconds", "Time of steps with prompt tokens.", now.prompt_s),
            ("tokens_predicted", "Tokens generated.", now.predicted_tokens),
            ("tokens_predicted_seconds", "Time of steps that only decode.", now.predicted_s),
            ("n_decode", "Batches computed.", now.n_steps),
            ("spec_decode_num_draft_tokens", "Tokens guessed ahead.", now.n_drafted),
            ("spec_decode_num_accepted_tokens", "Guesses that were right.", now.n_draft_accepted),
        ):
            yield CounterMetricFamily(f"llamacpp:{name}", text, value)
        per_step = now.n_sequence_steps / now.n_steps if now.n_steps else 0.0
        for name, text, value in (
            ("prompt_tokens_seconds", "Prompt tokens/s since the last scrape.", self._prompt_rate),
            (
                "predicted_tokens_seconds",
                "Generated tokens/s since the last scrape.",
                self._predicted_rate,
            ),
            ("requests_processing", "Requests that compute.", now.n_busy),
            ("requests_deferred", "Requests that wait for a slot.", now.n_waiting),
            ("n_tokens_max", "Tokens of the longest sequence so far.", now.n_tokens_max),
            ("n_busy_slots_per_decode", "Sequences in a batch, on average.", per_step),
        ):
            yield GaugeMetricFamily(f"llamacpp:{name}", text, value)

    def _of_our_own(self) -> Iterator[Metric]:
        now = self._metrics
        for name, text, value in (
            ("slots", "Slots.", now.n_slots),
            ("kv_cells", "KV cells in all.", now.n_cells),
            ("ram_entries", "Prefixes in the RAM tier.", now.n_ram_entries),
            ("ram_bytes", "Size of the RAM tier.", now.n_ram_bytes),
            (
                "kv_cells_used",
                "KV cells in use, cached prefixes too.",
                now.n_cells_used,
            ),
        ):
            yield GaugeMetricFamily(f"pyllama:{name}", text, value)
        for name, text, value in (
            ("requests_started", "Requests that got a slot.", now.n_started),
            ("prefix_hits", "Requests that started from cached cells.", now.n_prefix_hits),
            ("ram_hits", "Prefixes that came back from the RAM tier.", now.n_ram_hits),
            ("ram_tokens", "Tokens of those prefixes.", now.n_ram_tokens),
            ("embedded", "Inputs turned into embeddings.", now.n_embedded),
            ("preemptions", "Times a request gave up its cells.", now.n_preempted),
            ("media_encoded", "Pieces of pictures and sound encoded.", now.n_encoded),
        ):
            yield CounterMetricFamily(f"pyllama:{name}", text, value)
        yield CounterMetricFamily(
            "pyllama:media_seconds", "Time of that, without a token for any stream.", now.encode_s
        )
        ended = CounterMetricFamily(
            "pyllama:requests_ended", "Requests that ended, by reason.", labels=["reason"]
        )
        for reason, count in sorted(now.finished.items()):
            ended.add_metric([reason], count)
        yield ended
        for name, text, histogram in (
            ("queue_seconds", "Submitted to first scheduled.", now.queue_s),
            ("ttft_seconds", "Submitted to first token.", now.ttft_s),
            ("token_gap_seconds", "From one token of a sequence to its next.", now.token_gap_s),
            ("step_seconds", "Duration of a step.", now.step_s),
        ):
            yield _histogram(f"pyllama:{name}", text, histogram)


def _histogram(name: str, text: str, snapshot: HistogramSnapshot) -> HistogramMetricFamily:
    buckets, count = [], 0
    names = [*map(str, snapshot.bounds), "+Inf"]
    for bound, n_values in zip(names, snapshot.counts, strict=True):
        count += n_values
        buckets.append((bound, float(count)))
    return HistogramMetricFamily(name, text, buckets=buckets, sum_value=snapshot.total)
