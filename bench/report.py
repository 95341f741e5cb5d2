"""A comparison as a table: medians of both sides and their ratio, row by row."""

from __future__ import annotations

from typing import Any

from bench.figures import median

_MIB = 1 << 20
# Column head, figure, what one unit of the column is, digits after the point.
_COLUMNS = (
    ("wall s", "wall_s", 1.0, 2),
    ("tok/s", "tokens_per_second", 1.0, 1),
    ("TTFT p50 s", "ttft_p50_s", 1.0, 3),
    ("p95", "ttft_p95_s", 1.0, 3),
    ("max", "ttft_max_s", 1.0, 3),
    ("gap p50 ms", "gap_p50_s", 1e-3, 1),
    ("p99", "gap_p99_s", 1e-3, 1),
    ("max", "gap_max_s", 1e-3, 1),
    ("peak MiB", "peak_bytes", float(_MIB), 0),
    ("CPU s", "server_cpu_s", 1.0, 2),
    ("client CPU", "client_cpu_share", 1.0, 3),
)
SIDES = ("pyllama", "llama-server")


def table(data: dict[str, Any]) -> str:
    """Return a comparison's record as a Markdown table with a line of context before it."""
    rounds = data["settings"]["rounds"]
    lines = [
        f"{place(data)}, medians of {rounds} rounds; ratio is pyllama / llama-server",
        "",
        _line(["workload", "server", *(column[0] for column in _COLUMNS)]),
        _line(["---", "---", *("---:" for _ in _COLUMNS)]),
    ]
    for name, by_side in data["rows"].items():
        medians = {side: _medians(by_side[side]) for side in SIDES}
        lines += [_line([name, side, *_cells(medians[side])]) for side in SIDES]
        lines.append(_line(["", "ratio", *_ratios(*medians.values())]))
    return "\n".join(lines)


def place(data: dict[str, Any]) -> str:
    """Return what was measured where, as a record says it."""
    machine = data["machine"]
    modified = " (modified)" if data["is_modified"] else ""
    return (
        f"{data['model']}, commit {data['commit']}{modified}, {machine['cpu']} x "
        f"{machine['n_cpus']}, load {data['load_average']:.2f} before the run"
    )


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """Return the ratio of two medians; None where there is none."""
    return ours / theirs if ours is not None and theirs else None


def _medians(samples: list[dict[str, Any]]) -> list[float | None]:
    return [median(samples, figure) for _, figure, _, _ in _COLUMNS]


def _cells(values: list[float | None]) -> list[str]:
    return [
        "" if value is None else f"{value / unit:.{digits}f}"
        for value, (_, _, unit, digits) in zip(values, _COLUMNS, strict=True)
    ]


def _ratios(ours: list[float | None], theirs: list[float | None]) -> list[str]:
    ratios = [ratio(a, b) for a, b in zip(ours, theirs, strict=True)]
    return ["" if value is None else f"{value:.2f}" for value in ratios]


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
