"""Tuning a real model: a file is kept that the next load uses, and only where it may."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from pyllama import Llama, settings
from pyllama.engine import load, second_context
from pyllama.engine.tuned import build, identity, with_tuned
from pyllama.errors import ConfigError
from pyllama.tune import store
from pyllama.tune.run import tune
from pyllama.tune.search import Trial
from pyllama.tune.space import DECODE_ALL, DECODE_ONE, PREFILL
from pyllama.tune.workload import EngineLane, Workload

pytestmark = pytest.mark.model


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(store, "folder", lambda: tmp_path)
    return tmp_path


def wanted(path: Path, **options: object) -> settings.Settings:
    return settings.from_keywords(str(path), {"ctx_size": 1024, "parallel": 2, **options})


def keep(path: Path, *options: tuple[str, ...]) -> Path:
    made = wanted(path)
    tuned = store.Tuned(options=options, n_slots=2, n_ctx_slot=512)
    return store.write(identity(made, path), build(), tuned, {})


def test_a_tuning_is_used_by_the_next_load(
    model_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Seconds of measuring leave one file with its raw figures; the next Llama says it uses it."""
    made = wanted(model_path)
    trials: list[Trial] = []
    # However slow or busy the machine: what comes to no end is not kept, and leaves nothing.
    for seconds in (5, 20, 80):
        trials.clear()
        result = tune(made, model_path, seconds=seconds, allows_busy=True, report=trials.append)
        if result.path is not None:
            break
        assert result.doubt
        assert list(folder.iterdir()) == []
    assert result.path is not None
    assert [result.path] == list(folder.iterdir())
    data = json.loads(result.path.read_text("utf-8"))
    assert [row["name"] for row in data["record"]["trials"]] == [trial.name for trial in trials]
    assert trials[0].name == "flash attention"
    pairs = [pair for trial in trials for some in trial.pairs.values() for pair in some]
    assert all(pair.incumbent > 0 < pair.challenger for pair in pairs)
    with caplog.at_level(logging.INFO, logger="pyllama.engine.tuned"), Llama(settings=made) as llm:
        assert llm.generate("Hi", max_tokens=2).usage.completion_tokens >= 1
    (line,) = [message for message in caplog.messages if message.startswith("tuned settings: ")]
    words = " ".join(word for option in result.outcome.options for word in option)
    assert line.startswith(f"tuned settings: {words or 'the defaults'} ({result.path}; ")


def test_tuned_options_reach_the_context(model_path: Path) -> None:
    """What is kept is in the context; what the operator says is too, instead."""
    keep(model_path, ("--threads", "1"), ("--ubatch-size", "64"), ("--kv-unified",))
    for options, expected in (
        ({}, (1, 64, True)),
        ({"ubatch_size": 128}, (1, 128, True)),
        ({"threads": 2, "kv_unified": False}, (2, 64, False)),
        ({"tuned": False, "threads": 2}, (2, 512, False)),
    ):
        loaded = load(wanted(model_path, **options), model_path)
        context = loaded.context
        assert context is not None
        found = (context.n_threads, context.n_ubatch, loaded.limits.is_unified)
        context.close()
        assert found == expected


def test_the_log_says_what_was_left_out(model_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line names what is used, what the operator decided instead, and how to turn it off."""
    file = keep(model_path, ("--flash-attn", "off"), ("--threads", "1"))
    with caplog.at_level(logging.INFO, logger="pyllama.engine.tuned"):
        with_tuned(wanted(model_path, flash_attn="on"), model_path)
    (line,) = caplog.messages
    assert line == (
        "tuned settings: --threads 1; not --flash-attn, which the options given decide "
        f"({file}; --no-tuned turns them off)"
    )


def test_turned_off_nothing_is_read(model_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With ``tuned`` off the settings are the operator's alone, and the log is silent."""
    keep(model_path, ("--threads", "1"))
    made = wanted(model_path, tuned=False)
    with caplog.at_level(logging.INFO, logger="pyllama.engine.tuned"):
        assert with_tuned(made, model_path) == made
    assert caplog.messages == []


def test_another_context_shares_the_weights(model_path: Path) -> None:
    """A second context has options of its own, and outlives the first."""
    made = wanted(model_path)
    first = load(made, model_path)
    second = second_context(first, replace(made, options=(*made.options, ("--ubatch-size", "64"))))
    assert first.context is not None
    assert second.context is not None
    assert (first.context.n_ubatch, second.context.n_ubatch) == (512, 64)
    assert second.model is first.model
    first.context.close()
    assert second.context.n_ctx == 1024
    second.context.close()


def test_a_lane_does_the_work_that_it_reports(model_path: Path) -> None:
    """Each figure is a positive rate, and prompts that were computed are reused."""
    made = wanted(model_path)
    loaded = load(made, model_path)
    lane = EngineLane(loaded, made)
    lane.workload = Workload(depth=48, n_tokens=6, n_parallel=2)
    rates = [lane.measure(figure) for figure in (PREFILL, DECODE_ONE, DECODE_ALL)]
    (seen,) = lane._run([lane._prompts[-1]], 2)
    lane.close()
    assert all(rate > 0 for rate in rates)
    assert seen.n_cached == 47
    assert loaded.context is not None
    assert not loaded.context.is_open


def test_a_context_without_room_is_refused(model_path: Path, folder: Path) -> None:
    """Where no prompt fits, the error says what to raise, and nothing is kept."""
    with pytest.raises(ConfigError, match="raise --ctx-size"):
        tune(wanted(model_path, ctx_size=256, parallel=16, kv_unified=True), model_path, seconds=1)
    assert list(folder.iterdir()) == []


def test_an_interrupt_keeps_nothing(model_path: Path, folder: Path) -> None:
    """Ctrl-C in the middle leaves no file and no engine thread."""

    def interrupt(_trial: Trial) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(wanted(model_path), model_path, seconds=1, report=interrupt)
    assert list(folder.iterdir()) == []
