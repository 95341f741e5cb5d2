"""What earlier tunings left is listed and forgotten, for one model or for all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyllama import cli, hub
from pyllama.engine import tuned
from pyllama.tune import kept, store

MODEL, OTHER = {"n_bytes": 1, "head": "a"}, {"n_bytes": 2, "head": "b"}
MACHINE = {"n_cpus": 2, "devices": [{"description": "CPU", "gib": 8}], "features": "AVX2"}
BUILD = "pyllama 1, llama.cpp 2"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(store, "folder", lambda: tmp_path / "tuned")
    monkeypatch.setattr(tuned, "machine", lambda: MACHINE)
    monkeypatch.setattr(tuned, "build", lambda: BUILD)
    monkeypatch.setattr(hub, "resolve", lambda ref: tmp_path / ref)
    return tmp_path / "tuned"


def keep(
    *words: str, model: object = MODEL, machine: object = MACHINE, build: str = BUILD, day: int = 1
) -> Path:
    identity = {"model": model, "machine": machine, "placement": ()}
    result = store.Tuned(options=(words,) if words else (), n_slots=4, n_ctx_slot=4096)
    record = {"model": "m.gguf", "date": f"2026-01-0{day}T00:00:00+00:00"}
    return store.write(identity, build, result, record)


def test_the_latest_is_first_and_damage_is_left_out(folder: Path) -> None:
    """Each result says what, when, by which version, and what speaks against its use."""
    keep("--threads", "1", machine={"n_cpus": 9}, day=2)
    keep("--flash-attn", "off", day=3)
    keep(model=OTHER, build="pyllama 0", day=1)
    (folder / "damaged.json").write_text('{"format": 1}', "utf-8")
    found = kept.results()
    assert [each.options for each in found] == ["--flash-attn off", "--threads 1", "the defaults"]
    obstacles = [each.obstacle(MACHINE, (), BUILD) for each in found]
    assert obstacles[0] == ""
    assert "another machine" in obstacles[1]
    assert "another version" in obstacles[2]
    assert "placement" in found[0].obstacle(MACHINE, (("--gpu-layers", "0"),), BUILD)


def test_only_a_models_own_is_forgotten(folder: Path) -> None:
    """On every machine and by every version; others stay until all is to go, damaged or not."""
    keep("--threads", "1", machine={"n_cpus": 9}, build="pyllama 0")
    keep("--threads", "2")
    stays = keep(model=OTHER)
    assert kept.forget(MODEL) == 2
    assert [each.path for each in kept.results()] == [stays]
    (folder / "damaged.json").write_text("{", "utf-8")
    assert kept.forget() == 2
    assert kept.forget() == 0
    assert list(folder.iterdir()) == []


def test_without_a_folder_there_is_nothing() -> None:
    """A machine that never tuned has no folder, and that is no error."""
    assert kept.results() == []
    assert kept.forget(MODEL) == 0


def test_the_command_shows_and_forgets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is kept for the model, from when, and whether it is used; then it is gone."""
    (tmp_path / "m.gguf").write_bytes(b"GGUF")
    own = store.model_identity(tmp_path / "m.gguf")
    path = keep("--flash-attn", "off", model=own)
    keep("--threads", "9", model=OTHER, build="pyllama 0")
    assert cli.main(["tune", "m.gguf", "--show"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "m.gguf: --flash-attn off"
    assert "measured 2026-01-01T00:00:00+00:00 by pyllama 1" in out
    assert "used unless told otherwise" in out
    assert str(path) in out
    assert "--threads 9" not in out
    assert cli.main(["tune", "m.gguf", "--reset"]) == 0
    assert capsys.readouterr().out == "forgotten for m.gguf: 1 result\n"
    assert cli.main(["tune", "m.gguf", "--show"]) == 0
    assert capsys.readouterr().out == "nothing is kept for m.gguf\n"
    assert cli.main(["tune", "--show", "--all"]) == 0
    assert "not used: another version measured it" in capsys.readouterr().out
    assert cli.main(["tune", "--reset", "--all"]) == 0
    assert capsys.readouterr().out == "forgotten for any model: 1 result\n"


def test_what_cannot_be_deleted_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says why, and that it failed."""
    path = keep()
    assert json.loads(path.read_text("utf-8"))

    def refuse(self: Path, *, missing_ok: bool = False) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr(Path, "unlink", refuse)
    assert cli.main(["tune", "--reset", "--all"]) == 2
    assert "cannot forget it: read-only" in capsys.readouterr().err
