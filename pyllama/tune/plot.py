"""A tuning as a picture: a panel for each figure, a bar for each trial."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from pyllama.errors import ConfigError
from pyllama.tune.judge import score_of
from pyllama.tune.report import FIGURES, title
from pyllama.tune.run import Result


def check(path: Path) -> None:
    """Refuse early what :func:`draw` could not do after minutes of measuring.

    Raises:
        ConfigError: matplotlib is missing, or the file cannot be a picture.
    """
    pyplot = _pyplot()
    figure = pyplot.figure()
    formats = sorted(figure.canvas.get_supported_filetypes())
    pyplot.close(figure)
    if path.suffix.removeprefix(".").lower() not in formats:
        raise ConfigError(f"--plot {path}: the suffix must be one of {', '.join(formats)}")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"--plot {path}: there is no such folder")


def draw(result: Result, path: Path) -> None:
    """Draw how much faster each trial was than the best before it."""
    pyplot = _pyplot()
    trials = [trial for trial in result.outcome.trials if trial.pairs]
    figure, panels = pyplot.subplots(
        1, len(FIGURES), sharey=True, figsize=(12, 1.5 + 0.4 * max(len(trials), 1)), squeeze=False
    )
    for panel, name in zip(panels[0], FIGURES, strict=True):
        for place, trial in enumerate(trials):
            if name in trial.pairs:
                score = score_of({name: trial.pairs[name]})
                panel.barh(place, score.middle, color="C2" if trial.is_used else "C0")
                panel.plot([score.low, score.high], [place, place], color="black")
        panel.axvline(1.0, color="black", linewidth=0.8)
        panel.set_title(f"{name}: times as fast", fontsize=10)
    panels[0][0].set_yticks(range(len(trials)), [title(trial) for trial in trials])
    panels[0][0].invert_yaxis()
    figure.suptitle(f"{result.model}: against the best before it; green is used")
    figure.tight_layout()
    figure.savefig(path)
    pyplot.close(figure)


def _pyplot() -> Any:
    try:
        importlib.import_module("matplotlib").use("agg")
        return importlib.import_module("matplotlib.pyplot")
    except ImportError as error:
        raise ConfigError(
            f"--plot needs {error.name}, which is not installed: pip install matplotlib"
        ) from error
