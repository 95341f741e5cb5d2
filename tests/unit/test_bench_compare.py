"""A comparison alternates, checks that the work is the same, and reports medians and ratios."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from bench import compare, figures, plot, report
from bench.client import Streamed
from bench.server import PYLLAMA, Side
from bench.workloads import Load

PEER = Side("llama-server", ("llama-server",))
COUNTERS = figures.Counters(peak_bytes=1 << 20, server_cpu_s=3.0, client_cpu_s=0.1)


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    compare.add_arguments(parser)
    return parser.parse_args(words)


def streamed(start_s: float, *token_s: float) -> Streamed:
    return Streamed(start_s, token_s, "x", len(token_s), 10, 0)


def sample(wall_s: float, **changes: Any) -> dict[str, Any]:
    whole = figures.compute([streamed(0.0, wall_s / 2, wall_s)], COUNTERS).as_dict()
    return {**whole, "n_requests": 1, "n_generated": 2, **changes}


def record(rows: compare.Rows) -> dict[str, Any]:
    return {
        "model": "m.gguf",
        "commit": "abc",
        "is_modified": True,
        "load_average": 0.5,
        "machine": {"cpu": "CPU", "n_cpus": 2},
        "settings": {"rounds": 3},
        "rows": rows,
    }


def test_figures_are_taken_over_all_streams() -> None:
    """Wall time runs from the first request to the last token; gaps do not cross streams."""
    found = figures.compute([streamed(10.0, 1.0, 2.0, 4.0), streamed(11.0, 0.5, 5.0)], COUNTERS)
    assert (found.wall_s, found.tokens_per_second) == (6.0, 5 / 6)
    assert (found.ttft_p50_s, found.ttft_max_s) == (0.75, 1.0)
    assert (found.gap_p50_s, found.gap_max_s) == (2.0, 4.5)
    assert found.client_cpu_share == pytest.approx(0.1 / 6)


def test_one_token_has_no_gaps() -> None:
    """A workload of single tokens reports no gap instead of a zero."""
    found = figures.compute([streamed(0.0, 1.0)], COUNTERS)
    assert (found.gap_p50_s, found.gap_p99_s, found.gap_max_s) == (None, None, None)


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([5.0], 95, 5.0), ([3.0, 1.0, 2.0], 50, 2.0), ([0.0, 10.0], 95, 9.5), ([1.0, 2.0], 100, 2.0)],
)
def test_percentiles_interpolate(values: list[float], percent: float, expected: float) -> None:
    """A percentile lies between its neighbours; the last one is the maximum."""
    assert figures.percentile(values, percent) == expected


def test_the_first_side_changes_with_every_turn() -> None:
    """Neither server always meets the warmer machine."""
    orders = [[side.name for side in compare.in_turn([PYLLAMA, PEER], n)] for n in range(3)]
    assert orders == [
        ["pyllama", "llama-server"],
        ["llama-server", "pyllama"],
        ["pyllama", "llama-server"],
    ]


def test_both_sides_get_the_same_flags() -> None:
    """Context, slots and threads are said to both in the same words, and nothing else is."""
    ours, theirs = (
        compare.flags(side, Load(8, 32768, ()), arguments("--threads", "3"))
        for side in (PYLLAMA, PEER)
    )
    assert ours == theirs == ["-c", "32768", "-np", "8", "-t", "3"]


def test_a_difference_in_flags_has_to_be_asked_for() -> None:
    """Own flags reach their own side only, and auto leaves the slots to llama-server."""
    args = arguments("--pyllama-flags=--step-ms 100", "--llama-server-slots", "auto")
    load = Load(8, 32768, ())
    assert compare.flags(PYLLAMA, load, args)[-2:] == ["--step-ms", "100"]
    assert compare.flags(PEER, load, args) == ["-c", "32768", "-t", "2"]


def test_an_unknown_workload_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt workload ends the command and names those that exist."""
    with pytest.raises(SystemExit):
        arguments("--workloads", "decode,chatt")
    assert "unknown: chatt; there are decode, prefill" in capsys.readouterr().err


def test_different_work_is_an_error() -> None:
    """A side that generated fewer tokens in one round makes the run invalid."""
    same = {"pyllama": [sample(1.0)] * 2, "llama-server": [sample(2.0)] * 2}
    compare.check_same_work({"chat": same})
    less = {**same, "pyllama": [sample(1.0), sample(1.0, n_generated=1)]}
    with pytest.raises(compare.WorkDiffers, match="chat"):
        compare.check_same_work({"chat": less})


def test_the_table_holds_medians_and_their_ratio() -> None:
    """The outlier of three rounds changes nothing; half the time is a ratio of 0.50."""
    rows = {
        "chat": {
            "pyllama": [sample(1.0), sample(9.0), sample(1.0)],
            "llama-server": [sample(2.0), sample(2.0), sample(2.0)],
        }
    }
    lines = report.table(record(rows)).splitlines()
    assert "commit abc (modified), CPU x 2, load 0.50" in lines[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert len({len(row) for row in cells}) == 1
    assert [row[:4] for row in cells[2:]] == [
        ["chat", "pyllama", "1.00", "2.0"],
        ["chat", "llama-server", "2.00", "1.0"],
        ["", "ratio", "0.50", "2.00"],
    ]


def test_a_figure_that_is_missing_stays_empty() -> None:
    """Gaps of single tokens are empty cells, and so is their ratio."""
    one = {**sample(1.0), "gap_p50_s": None}
    table = report.table(record({"prefill": {"pyllama": [one], "llama-server": [one]}}))
    assert "|  | ratio | 1.00 | 1.00 | 1.00 | 1.00 | 1.00 |  |" in table


def test_the_record_is_json() -> None:
    """Everything that a sample holds can be written to the record file."""
    assert json.loads(json.dumps(sample(1.0)))["wall_s"] == 1.0


def test_the_plot_is_written(tmp_path: Path) -> None:
    """A picture comes out, also where a row has no gaps."""
    pytest.importorskip("matplotlib", reason="the bench extra is not installed")
    one = {**sample(1.0), "gap_max_s": None}
    plot.draw(record({"prefill": {"pyllama": [one], "llama-server": [one]}}), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
