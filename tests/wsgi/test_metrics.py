"""``/metrics``: names, types, and the switch."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from pyllama.metrics import Histogram
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import ClientOf
from wsgi.native.metrics import Rates


def test_metrics_are_off_by_default(connect: ClientOf) -> None:
    """Without the switch the answer is 501, and names it."""
    response = connect(FakeLlama()).get("/metrics")
    assert response.status_code == 501
    assert "--metrics" in response.json()["error"]["message"]
    assert response.json()["error"]["type"] == "not_supported_error"


def test_metrics_are_what_the_engine_counted(connect: ClientOf) -> None:
    """A reader of the format finds llama-server's names and ours, with the engine's counts."""
    response = connect(FakeLlama(metrics=True)).get("/metrics")
    assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert int(response.headers["Process-Start-Time-Unix"]) > 0
    found = {
        (sample.name, sample.labels.get("le") or sample.labels.get("reason")): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }
    assert found["llamacpp:prompt_tokens_total", None] == 100
    assert found["llamacpp:prompt_tokens_cached_total", None] == 40
    assert found["llamacpp:prompt_tokens_seconds", None] == 50
    assert found["llamacpp:n_busy_slots_per_decode", None] == 3
    assert found["pyllama:requests_ended_total", "stop"] == 6
    assert found["pyllama:prefix_hits_total", None] == 5
    assert found["pyllama:ram_bytes", None] == 4096
    assert found["llamacpp:spec_decode_num_accepted_tokens_total", None] == 15
    assert found["pyllama:ttft_seconds_bucket", "0.5"] == 1
    assert found["pyllama:ttft_seconds_bucket", "+Inf"] == found["pyllama:ttft_seconds_count", None]


def test_rates_are_of_the_time_since_the_last_scrape() -> None:
    """A second look at the same counts sees no work."""
    rates, metrics = Rates(), FakeLlama().metrics()
    assert rates.since_last(metrics) == (50.0, 20.0)
    assert rates.since_last(metrics) == (0.0, 0.0)


def test_bounds_are_inclusive() -> None:
    """A value on a bound belongs below it, one above the last to the rest."""
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 9.0):
        histogram.observe(value)
    assert histogram.snapshot().counts == (2, 2, 1)
    assert histogram.snapshot().total == 14.0
