"""The measurement of streams beside answers that are checked: its schemas and its table."""

from __future__ import annotations

from typing import Any

import pytest

from bench import ends
from bench.client import Streamed
from pyllama.text.json_check import JsonFault, check_json


def test_both_kinds_of_answers_are_the_same_work_until_they_end() -> None:
    """The expensive schema is the cheap one and a condition more, which every answer meets."""
    cheap, expensive = ends.SCHEMAS["cheap ends"], ends.SCHEMAS["expensive ends"]
    assert cheap is not None
    assert expensive is not None
    assert {**cheap, "not": expensive["not"]} == expensive
    value = [number % 10 for number in range(cheap["maxItems"])]
    check_json(value, expensive)
    check_json(value, cheap)
    with pytest.raises(JsonFault):
        check_json([*value[:-1], "no 7"], expensive)


def test_the_expensive_check_counts_tens_of_thousands_of_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What takes long about an end is there, whatever the machine."""
    steps: list[int] = []
    monkeypatch.setattr(
        "pyllama.text.check_meter.CheckMeter.charge", lambda _self, n=1: steps.append(n)
    )
    check_json([0] * 48, ends.SCHEMAS["cheap ends"] or {})
    n_cheap = sum(steps)
    steps.clear()
    check_json([0] * 48, ends.SCHEMAS["expensive ends"] or {})
    assert sum(steps) > 50 * n_cheap
    assert sum(steps) > 20_000


def test_gaps_are_those_of_all_streams_together() -> None:
    """The largest one counts, whichever stream has it."""
    done = [
        Streamed(0.0, times, "", len(times), 1, 0)
        for times in ((0.1, 0.2, 0.3, 0.4), (0.1, 0.3, 0.9, 1.0))
    ]
    found = ends._gaps(done)
    assert found["max_s"] == pytest.approx(0.6)
    assert found["p50_s"] == pytest.approx(0.1)


def test_the_table_has_the_ratio_of_expensive_to_cheap() -> None:
    """Medians of the rounds, and what the check makes of them."""
    rows: dict[str, list[dict[str, float]]] = {
        kind: [
            {"max_s": factor * x, "p99_s": x, "p50_s": x / 10, "ended": 3.0}
            for x in (0.1, 0.2, 0.9)
        ]
        for kind, factor in (("alone", 0.5), ("cheap ends", 1.0), ("expensive ends", 1.5))
    }
    settings = {"streams": 4, "answers": 1, "threads": 2, "rounds": 3}
    data: dict[str, Any] = {"rows": rows, "settings": settings, **_place()}
    text = ends.table(data)
    assert "| expensive ends | 300 | 200 | 20.0 | 3 |" in text
    assert "| expensive ends / cheap ends | 1.50 | 1.00 | 1.00 | |" in text
    assert "| expensive ends / alone | 3.00 | 1.00 | 1.00 | |" in text


def _place() -> dict[str, Any]:
    machine = {"cpu": "x", "n_cpus": 2}
    return {
        "model": "m",
        "commit": "c",
        "is_modified": False,
        "load_average": 0.0,
        "machine": machine,
    }
