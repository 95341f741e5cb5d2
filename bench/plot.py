"""A comparison as a picture: one panel a figure, two bars a row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench import extras
from bench.figures import median
from bench.report import SIDES

_PANELS = (
    ("tokens_per_second", "tokens/s (more is better)"),
    ("ttft_p95_s", "TTFT p95, s (less is better)"),
    ("gap_max_s", "largest gap in a stream, s (less is better)"),
)


def draw(data: dict[str, Any], path: Path) -> None:
    """Draw the medians of a comparison's record into a file; its suffix says which format."""
    matplotlib = extras.load("matplotlib")
    matplotlib.use("agg")
    pyplot = extras.load("matplotlib.pyplot")
    rows = data["rows"]
    height = 1.0 + 0.4 * len(rows)
    figure, panels = pyplot.subplots(1, len(_PANELS), sharey=True, figsize=(14, height))
    for panel, (name, title) in zip(panels, _PANELS, strict=True):
        for offset, side in zip((-0.2, 0.2), SIDES, strict=True):
            values = [median(by_side[side], name) or 0.0 for by_side in rows.values()]
            places = [row + offset for row in range(len(rows))]
            panel.barh(places, values, height=0.4, label=side)
        panel.set_title(title, fontsize=10)
        panel.set_yticks(range(len(rows)), list(rows))
    panels[0].invert_yaxis()
    panels[-1].legend()
    figure.suptitle(f"{data['model']}, commit {data['commit']}, {data['machine']['cpu']}")
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)
