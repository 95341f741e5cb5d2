"""A result is kept for one model, machine and placement, and what cannot be used is ignored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyllama.errors import ModelNotFound
from pyllama.tune import store

TUNED = store.Tuned(
    options=(("--flash-attn", "off"), ("--kv-unified",)), n_slots=4, n_ctx_slot=4096
)
IDENTITY = {"model": {"n_bytes": 1}, "machine": {"n_cpus": 2}, "placement": ()}
BUILD = "pyllama 1, llama.cpp 2"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(store, "folder", lambda: tmp_path / "tuned")
    return tmp_path / "tuned"


def keep() -> Path:
    return store.write(IDENTITY, BUILD, TUNED, {"date": "today"})


def test_what_is_written_is_read(folder: Path) -> None:
    """A result comes back as it was, from the one file in the folder."""
    path = keep()
    assert store.read(IDENTITY, BUILD) == (TUNED, path)
    assert list(folder.iterdir()) == [path]


def test_a_later_result_replaces_the_earlier() -> None:
    """There is one result for a model and machine."""
    keep()
    later = store.Tuned(options=(), n_slots=1, n_ctx_slot=1)
    path = store.write(IDENTITY, BUILD, later, {})
    assert store.read(IDENTITY, BUILD) == (later, path)


@pytest.mark.parametrize("part", ["model", "machine", "placement"])
def test_another_one_has_no_result(part: str, caplog: pytest.LogCaptureFixture) -> None:
    """Another model, machine or placement finds nothing, and that is no news."""
    keep()
    assert store.read({**IDENTITY, part: "other"}, BUILD) is None
    assert caplog.messages == []


def test_another_build_is_ignored_with_a_line(caplog: pytest.LogCaptureFixture) -> None:
    """What another version measured does not count, and the log says what to do."""
    keep()
    assert store.read(IDENTITY, "pyllama 2, llama.cpp 2") is None
    (message,) = caplog.messages
    assert "is of pyllama 1, llama.cpp 2" in message
    assert "run pyllama tune again" in message


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "null",
        '{"format": 1}',
        '{"format": 1, "build": "b", "n_slots": 1, "n_ctx_slot": 1, "options": [[]]}',
        '{"format": 1, "build": "b", "n_slots": 1, "n_ctx_slot": 1, "options": [["--x", 1]]}',
        '{"format": 1, "build": "b", "n_slots": [], "n_ctx_slot": 1, "options": []}',
        '{"n_slots": 1, "n_ctx_slot": 1, "options": []}',
        "\x80",
    ],
)
def test_damage_is_ignored_with_a_line(text: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever stands in the file, loading goes on without it and the log has one line."""
    path = keep()
    path.write_text(text, encoding="latin-1")
    assert store.read(IDENTITY, "b") is None
    (message,) = caplog.messages
    assert message.startswith("tuned settings ignored: ")
    assert str(path) in message


def test_without_a_home_there_is_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a folder loads models all the same."""

    def homeless() -> Path:
        raise ModelNotFound("default", "no home")

    monkeypatch.setattr(store, "folder", homeless)
    assert store.read(IDENTITY, BUILD) is None


def test_a_failed_write_leaves_nothing(folder: Path) -> None:
    """A result that cannot be written whole is not written, and the earlier one stays."""
    path = keep()
    with pytest.raises(TypeError):
        store.write(IDENTITY, BUILD, TUNED, {"bad": object()})
    assert list(folder.iterdir()) == [path]
    assert store.read(IDENTITY, BUILD) == (TUNED, path)


def test_a_model_is_its_size_and_head(tmp_path: Path) -> None:
    """The same content under another name is the same model; a changed header is another."""
    files = {"a": b"GGUFabc", "b": b"GGUFabc", "c": b"GGUFabd", "d": b"GGUFabc "}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    a, b, c, d = (store.model_identity(tmp_path / name) for name in files)
    assert a == b
    assert json.dumps(a) not in {json.dumps(c), json.dumps(d)}


def test_a_machine_is_its_devices_and_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page more of memory is the same machine; another GPU or a CPU less is not."""
    cpu = {"description": "CPU", "total_bytes": 8 << 30}
    gpu = {"description": "GPU", "total_bytes": 80 << 30}
    alone = store.machine_identity([cpu])
    assert alone == store.machine_identity([{**cpu, "total_bytes": (8 << 30) + 4096}])
    assert alone != store.machine_identity([gpu, cpu])
    monkeypatch.setattr(store, "n_cpus", lambda: 999)
    assert alone != store.machine_identity([cpu])
