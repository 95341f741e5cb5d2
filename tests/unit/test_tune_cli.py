"""The command: what it takes, what it prints where, and its picture."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pyllama import cli, hub
from pyllama.settings import Settings
from pyllama.tune import plot, report
from pyllama.tune import run as run_module
from pyllama.tune.judge import Pair, Verdict
from pyllama.tune.run import Result
from pyllama.tune.search import Outcome, Trial
from pyllama.tune.space import DECODE_ONE, PREFILL
from pyllama.tune.workload import Workload

TRIALS = [
    Trial(
        "flash attention",
        "off",
        Verdict.BETTER,
        {
            PREFILL: [Pair(400.0, 380.0), Pair(402.0, 376.0), Pair(398.0, 377.0)],
            DECODE_ONE: [Pair(39.0, 48.0), Pair(39.5, 48.1), Pair(38.0, 47.0)],
        },
        is_used=True,
    ),
    Trial("threads", "1", Verdict.UNFINISHED, {}),
    Trial("KV type", "q8_0", Verdict.FAILED, {}, note="no memory."),
]


def result(folder: Path, *trials: Trial, is_kept: bool = True, others: float = 0.0) -> Result:
    return Result(
        outcome=Outcome((("--flash-attn", "off"),), list(trials)),
        workload=Workload(depth=512, n_tokens=32, n_parallel=4),
        model="m.gguf",
        path=folder / "kept.json" if is_kept else None,
        seconds=99.6,
        others=others,
    )


class Tuner:
    """Stands for the measuring."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls: list[tuple[Settings, Path, float, bool, bool]] = []
        self.error: BaseException | None = None
        self.others = 0.0

    def __call__(
        self,
        settings: Settings,
        path: Path,
        *,
        seconds: float,
        allows_lossy: bool,
        allows_busy: bool,
        report: Callable[[Trial], None],
    ) -> Result:
        self.calls.append((settings, path, seconds, allows_lossy, allows_busy))
        if self.error is not None:
            raise self.error
        for trial in TRIALS:
            report(trial)
        return result(
            self.folder, *TRIALS, is_kept=not self.others or allows_busy, others=self.others
        )


@pytest.fixture
def tuner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tuner:
    made = Tuner(tmp_path)
    monkeypatch.setattr(run_module, "tune", made)
    monkeypatch.setattr(hub, "resolve", lambda ref: tmp_path / ref)
    return made


def test_the_table_is_the_answer(tuner: Tuner, capsys: pytest.CaptureFixture[str]) -> None:
    """Each trial goes to stderr as it ends; table, result and file go to stdout."""
    assert cli.main(["tune", "m.gguf"]) == 0
    out, err = capsys.readouterr()
    assert "pyllama: flash attention off: better x 1.08" in err
    row = next(line for line in out.splitlines() if line.startswith("flash attention off"))
    assert "377.0 / 400.0" in row
    assert "48.0 / 39.0" in row
    assert row.endswith("better <- used")
    assert "best here: --flash-attn off (100 s)" in out
    assert str(tuner.folder / "kept.json") in out


def test_flags_of_serve_hold_while_it_measures(tuner: Tuner) -> None:
    """What follows the double dash is read as serve reads it; the model is the command's."""
    words = ["--seconds", "7", "--allow-kv-quant", "m.gguf", "--", "-np", "8", "-t", "1"]
    assert cli.main(["tune", *words]) == 0
    ((settings, path, seconds, is_lossy, _),) = tuner.calls
    assert (settings.model, settings.parallel, seconds, is_lossy) == ("m.gguf", 8, 7.0, True)
    assert ("-t", "1") in settings.options
    assert path == tuner.folder / "m.gguf"


def test_without_a_reference_it_is_the_served_model(
    tuner: Tuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is the one that serve would take, and lossy choices are not allowed."""
    monkeypatch.setenv("PYLLAMA_MODEL", "other.gguf")
    assert cli.main(["tune"]) == 0
    assert tuner.calls[0][0].model == "other.gguf"
    assert tuner.calls[0][2:] == (100.0, False, False)


def test_what_is_worth_nothing_is_status_1(
    tuner: Tuner, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table is shown, and beneath it why nothing is kept; one who wants it kept says so."""
    tuner.others = 1.5
    assert cli.main(["tune", "m"]) == 1
    out = capsys.readouterr().out
    assert "flash attention off" in out
    assert "not kept: others kept 1.5 of" in out
    assert "used" not in out.splitlines()[-1]
    assert cli.main(["tune", "m", "--keep-busy"]) == 0
    assert "kept in " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seconds", "0"], "must be within 1 and 3600"),
        (["--seconds", "x"], "invalid"),
        (["-np", "8"], "unrecognized"),
        (["a", "b"], "unrecognized"),
        (["--all"], "--all goes with --show or --reset"),
        (["--reset", "--all", "m"], "without REF"),
        (["--show", "--reset"], "not allowed with"),
    ],
)
def test_wrong_use_is_status_2(
    words: list[str], said: str, tuner: Tuner, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong word ends the command before anything is measured."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["tune", *words])
    assert caught.value.code == 2
    assert said in capsys.readouterr().err
    assert tuner.calls == []


@pytest.mark.parametrize("plot_name", ["x.nope", "x", "missing/x.png"])
def test_a_picture_that_cannot_be_is_refused_first(
    plot_name: str, tuner: Tuner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong suffix or folder is noticed before the minutes of measuring."""
    pytest.importorskip("matplotlib", reason="the bench extra is not installed")
    assert cli.main(["tune", "m", "--plot", str(tmp_path / plot_name)]) == 2
    assert "--plot" in capsys.readouterr().err
    assert tuner.calls == []


def test_without_matplotlib_the_picture_is_refused(
    tuner: Tuner, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says what to install."""
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert cli.main(["tune", "m", "--plot", "x.png"]) == 2
    assert "pip install matplotlib" in capsys.readouterr().err
    assert tuner.calls == []


def test_the_picture_is_written(tuner: Tuner, tmp_path: Path) -> None:
    """With trials that were measured, and without any."""
    pytest.importorskip("matplotlib", reason="the bench extra is not installed")
    assert cli.main(["tune", "m", "--plot", str(tmp_path / "a.png")]) == 0
    plot.draw(result(tmp_path), tmp_path / "b.svg")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "b.svg").stat().st_size > 0


def test_ctrl_c_is_status_130(tuner: Tuner, capsys: pytest.CaptureFixture[str]) -> None:
    """An interrupt ends the command without a table."""
    tuner.error = KeyboardInterrupt()
    assert cli.main(["tune", "m"]) == 130
    assert capsys.readouterr().out == ""


def test_a_table_of_nothing_says_the_defaults(tmp_path: Path) -> None:
    """Where nothing won, the result is the defaults."""
    nothing = Result(
        outcome=Outcome((), [TRIALS[1]]),
        workload=Workload(depth=64, n_tokens=8, n_parallel=1),
        model="m",
        path=tmp_path,
        seconds=1.0,
    )
    assert "best here: the defaults (1 s)" in report.table(nothing)
