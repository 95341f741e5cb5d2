"""The command: its exit statuses, its streams, and how it becomes gunicorn."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

import pyllama
from pyllama import cli, hub
from pyllama.errors import ConfigError, ModelLoadError, ModelNotFound


class Replaced(BaseException):
    """Raised instead of replacing the test's process."""

    def __init__(self, path: str, argv: list[str], environ: dict[str, str]) -> None:
        self.path = path
        self.argv = argv
        self.environ = environ
        super().__init__(path)


class FakeSettings(ModuleType):
    """Stands for pyllama.settings, which needs the compiled option table."""

    def __init__(self) -> None:
        super().__init__("pyllama.settings")
        self.checked: list[list[str]] = []

    def from_arguments(self, argv: Sequence[str], environ: Mapping[str, str]) -> None:
        self.checked.append(list(argv))
        assert environ is os.environ
        if "--modle" in argv:
            raise ConfigError("unknown flag '--modle';\n  did you mean '--model'?")

    def help_text(self) -> str:
        return "-m, --model FILE\n"


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeSettings:
    """Fake settings, an empty current folder, and a process that is not replaced."""

    def execve(path: str, argv: list[str], environ: dict[str, str]) -> None:
        raise Replaced(path, argv, environ)

    fake = FakeSettings()
    monkeypatch.setitem(sys.modules, "pyllama.settings", fake)
    monkeypatch.setattr(pyllama, "settings", fake, raising=False)
    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.chdir(tmp_path)
    return fake


def test_serve_becomes_gunicorn_with_the_flags_in_the_environment(settings: FakeSettings) -> None:
    """The flags are checked first, then handed on whole, beside gunicorn's own command line."""
    flags = ["-m", "a model.gguf", "--port", "5006", "-np", "8", "--jinja"]
    with pytest.raises(Replaced) as caught:
        cli.main(["serve", *flags])
    assert settings.checked == [flags]
    assert caught.value.path == sys.executable
    assert caught.value.argv[1:] == [
        *("-m", "gunicorn", "-c", "python:wsgi.gunicorn_conf", "wsgi:app")
    ]
    assert json.loads(caught.value.environ["PYLLAMA_ARGS"]) == flags
    assert caught.value.environ["PATH"] == os.environ["PATH"]


@pytest.mark.usefixtures("settings")
def test_a_wrong_flag_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    """A flag that does not exist is reported before any server starts."""
    assert cli.main(["serve", "--modle", "x"]) == 2
    assert capsys.readouterr() == (
        "",
        "pyllama: unknown flag '--modle'; did you mean '--model'?\n",
    )


@pytest.mark.parametrize("flag", ["-h", "--help", "--usage"])
def test_serve_help_is_the_settings_own(
    flag: str, settings: FakeSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    """The help of serve is llama.cpp's option table, printed without checking other flags."""
    assert cli.main(["serve", "--modle", flag]) == 0
    assert capsys.readouterr() == ("-m, --model FILE\n", "")
    assert settings.checked == []


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("name", ["wsgi.py", "wsgi/__init__.py"])
def test_a_folder_with_its_own_wsgi_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The current folder's module would be imported instead of ours, so serve says no."""
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    assert cli.main(["serve"]) == 2
    assert str(tmp_path / name) in capsys.readouterr().err


def test_our_own_checkout_is_no_foreign_wsgi(
    settings: FakeSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Started in the folder that our wsgi is imported from, serve goes on."""
    (tmp_path / "wsgi").mkdir()
    (tmp_path / "wsgi" / "__init__.py").touch()
    spec = ModuleSpec("wsgi", None, origin=str(tmp_path / "wsgi" / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    with pytest.raises(Replaced):
        cli.main(["serve"])
    assert settings.checked == [[]]


@pytest.mark.usefixtures("settings")
def test_windows_is_told_what_to_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where gunicorn does not run, the error names what does."""
    monkeypatch.setattr(sys, "platform", "win32")
    assert cli.main(["serve"]) == 2
    assert "from pyllama import Llama" in capsys.readouterr().err


def test_pull_prints_the_path_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The path is all there is on stdout, so that a script can take it."""
    checked: list[Path] = []
    monkeypatch.setattr(hub, "resolve", lambda ref: tmp_path / ref)
    monkeypatch.setattr(hub, "check_gguf", checked.append)
    assert cli.main(["pull", "m.gguf"]) == 0
    assert capsys.readouterr() == (f"{tmp_path / 'm.gguf'}\n", "")
    assert checked == [tmp_path / "m.gguf"]


@pytest.mark.parametrize("ref", ["./nope.gguf", "hf:wrong", "ollama:x"])
def test_pull_of_nothing_is_one_line(ref: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A reference that cannot be had is one line on stderr; a malformed one is wrong usage."""
    assert cli.main(["pull", ref]) == (1 if ref.startswith(".") else 2)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("pyllama: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError("c"), 2),
        (ModelNotFound("m", "gone."), 1),
        (ModelLoadError("m", "bad."), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_statuses(error: BaseException, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who must act decides the status: 2 the caller, 1 the world, 130 the keyboard."""

    def fail(ref: str) -> None:
        raise error

    monkeypatch.setattr(hub, "resolve", fail)
    assert cli.main(["pull", "x"]) == status


@pytest.mark.parametrize(
    ("argv", "status", "said"),
    [
        (["--version"], 0, f"pyllama {pyllama.__version__}\n"),
        (["--help"], 0, "serve [FLAGS]"),
        (["pull", "--help"], 0, "REF"),
        (["bake"], 2, "invalid choice: 'bake'"),
        ([], 2, "COMMAND"),
        (["pull"], 2, "REF"),
        (["pull", "a", "b"], 2, "unrecognized"),
    ],
)
def test_words_for_people(
    argv: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Help and version go to stdout with status 0, wrong usage to stderr with status 2."""
    with pytest.raises(SystemExit) as caught:
        cli.main(argv)
    assert caught.value.code == status
    out, err = capsys.readouterr()
    assert said in (err if status else out)
    assert (out if status else err) == ""
