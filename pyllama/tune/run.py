"""A whole tuning: load, size the work, search, keep the result."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pyllama.engine import LoadedModel, load, second_context
from pyllama.engine.tuned import build, identity
from pyllama.errors import ConfigError
from pyllama.settings import Settings
from pyllama.settings.tuned import beneath, ctx_slot, named
from pyllama.tune import store
from pyllama.tune.judge import Verdict
from pyllama.tune.others import CpuTimes, others_since, too_many
from pyllama.tune.search import Outcome, Search, Trial
from pyllama.tune.space import Facts, Options, space
from pyllama.tune.workload import EngineLane, Workload, fitting

# What says something of the machine. One that could not run says nothing of another's speed.
_CLEAR = (Verdict.BETTER, Verdict.NOT_BETTER, Verdict.WORSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a tuning found, and where it is kept."""

    outcome: Outcome
    workload: Workload
    model: str
    """Name of the file."""
    path: Path | None
    """None: it is worth nothing, and not kept."""
    seconds: float
    """What it took."""
    others: float | None = None
    """CPUs that others kept busy meanwhile, on average; None: that is not known."""

    @property
    def doubt(self) -> str:
        """Why it is worth nothing; empty where nothing speaks against it."""
        trials = self.outcome.trials
        if not trials:
            return "the flags leave nothing to try"
        if not any(trial.verdict in _CLEAR for trial in trials):
            return "no trial came to an end; give it more --seconds"
        if self.others is not None and too_many(self.others, store.n_cpus()):
            return (
                f"others kept {self.others:.1f} of {store.n_cpus()} CPUs busy, beside which fewer "
                "threads look better than they are; tune again once they have ended, or keep it "
                "with --keep-busy"
            )
        return ""


def tune(
    settings: Settings,
    path: Path,
    *,
    seconds: float,
    allows_lossy: bool = False,
    allows_busy: bool = False,
    report: Callable[[Trial], None] = lambda _: None,
) -> Result:
    """Search the best settings for a model on this machine, and keep them for the next load.

    Blocks for about the seconds given. Nothing is kept where it is interrupted, or where what was
    measured is worth nothing: an earlier result stays.

    Args:
        settings: what the operator said; its options are not tuned.
        path: the model file.
        seconds: time to measure.
        allows_lossy: also use what changes the model's answers.
        allows_busy: keep what was measured beside others that compute.
        report: told of each trial as soon as it ends.

    Raises:
        ConfigError: nothing can be measured, or the result cannot be kept.
        ModelLoadError: the model cannot be loaded.
    """
    start_s = time.monotonic()
    settings = replace(settings, tuned=False)
    key = identity(settings, path)
    loaded = load(settings, path)
    if loaded.context is None:
        raise ConfigError(f"{path.name} generates no text: there is nothing to measure")
    n_threads = loaded.context.n_threads
    lane = EngineLane(loaded, settings)
    try:
        work = fitting(lane, loaded, seconds)
    except BaseException:
        lane.close()
        raise
    lane.workload = work
    search = Search(
        space(_facts(settings, n_threads, work)),
        lambda options: _open(loaded, settings, options, work),
        time.monotonic,
        seconds - (time.monotonic() - start_s),
        allows_lossy,
        report,
    )
    before = CpuTimes.now()
    result = Result(
        outcome=search.run(lane),
        workload=work,
        model=path.name,
        path=None,
        seconds=time.monotonic() - start_s,
        others=None if allows_busy else others_since(before),
    )
    return result if result.doubt else _kept(result, key, settings)


def _facts(settings: Settings, n_threads: int, work: Workload) -> Facts:
    given = named(settings)
    if settings.kv_unified:
        given.add("--kv-unified")
    return Facts(
        given=given,
        n_threads=n_threads,
        n_cpus=store.n_cpus(),
        n_slots=settings.parallel,
        depth=work.depth,
    )


def _open(loaded: LoadedModel, settings: Settings, options: Options, work: Workload) -> EngineLane:
    """Make a lane by the way that a later load takes."""
    made = beneath(settings, _tuned(settings, options))
    lane = EngineLane(second_context(loaded, made), made)
    lane.workload = work
    try:
        # Chunks of prompts adapt to their speed, and the first of all is small.
        lane.prefill(min(work.depth, 128))
    except BaseException:
        lane.close()
        raise
    return lane


def _tuned(settings: Settings, options: Options) -> store.Tuned:
    return store.Tuned(options=options, n_slots=settings.parallel, n_ctx_slot=ctx_slot(settings))


def _kept(result: Result, key: store.Identity, settings: Settings) -> Result:
    found = _tuned(settings, result.outcome.options)
    try:
        return replace(result, path=store.write(key, build(), found, _record(result)))
    except OSError as error:
        raise ConfigError(f"the result cannot be kept: {error}; set PYLLAMA_CACHE") from error


def _record(result: Result) -> dict[str, Any]:
    return {
        "model": result.model,
        "date": dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        "seconds": round(result.seconds, 1),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "workload": asdict(result.workload),
        "trials": [
            {
                "name": trial.name,
                "label": trial.label,
                "verdict": trial.verdict.value,
                "is_used": trial.is_used,
                "tokens_per_second": {
                    figure: [[pair.incumbent, pair.challenger] for pair in pairs]
                    for figure, pairs in trial.pairs.items()
                },
            }
            for trial in result.outcome.trials
        ],
    }
