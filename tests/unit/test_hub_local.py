"""References to files on this machine, and the folder that fetched models are kept in."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from pyllama import hub
from pyllama.errors import ModelNotFound
from pyllama.hub.cache import cache_folder, locked


def test_a_file_is_returned_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path holds when the process changes its folder later."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.gguf").touch()
    assert hub.resolve("m.gguf") == tmp_path / "m.gguf"


def test_a_link_keeps_its_name(tmp_path: Path) -> None:
    """A symbolic link is not followed in the answer: the model is served under the link's name."""
    (tmp_path / "blob").touch()
    link = tmp_path / "m.gguf"
    link.symlink_to("blob")
    assert hub.resolve(str(link)) == link


def test_a_missing_file_names_path_and_remedy(tmp_path: Path) -> None:
    """The error says which file, and what else could be named."""
    missing = str(tmp_path / "nope.gguf")
    with pytest.raises(ModelNotFound) as caught:
        hub.resolve(missing)
    assert caught.value.path == missing
    assert "PYLLAMA_MODEL" in caught.value.remedy


def test_a_bare_repository_name_is_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """org/repo, which llama-server's -hf takes, is answered with its spelling here."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelNotFound, match="write hf:org/repo"):
        hub.resolve("org/repo")


def test_a_folder_lists_its_models(tmp_path: Path) -> None:
    """Of a folder, the .gguf files in it are named and nothing else is."""
    for name in ("b.gguf", "a.gguf", "readme.md"):
        (tmp_path / name).touch()
    with pytest.raises(ModelNotFound, match=r"a\.gguf, b\.gguf\.") as caught:
        hub.resolve(str(tmp_path))
    assert "readme" not in str(caught.value)


def test_a_long_folder_is_cut(tmp_path: Path) -> None:
    """The list of a folder's models has an end, and says how many it leaves out."""
    for i in range(25):
        (tmp_path / f"{i:02}.gguf").touch()
    with pytest.raises(ModelNotFound, match=r"09\.gguf and 15 more\."):
        hub.resolve(str(tmp_path))


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    """A folder without models says that it has none."""
    with pytest.raises(ModelNotFound, match=r"no \.gguf file"):
        hub.resolve(str(tmp_path))


def test_a_device_is_no_model() -> None:
    """What is neither file nor folder is refused."""
    with pytest.raises(ModelNotFound, match="regular file"):
        hub.resolve("/dev/null")


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({"PYLLAMA_CACHE": "/c", "XDG_CACHE_HOME": "/x"}, "linux", "/c"),
        ({"XDG_CACHE_HOME": "/x"}, "linux", "/x/pyllama/models"),
        ({"XDG_CACHE_HOME": "relative"}, "linux", "/somewhere/me/.cache/pyllama/models"),
        ({}, "linux", "/somewhere/me/.cache/pyllama/models"),
        ({"XDG_CACHE_HOME": "/x"}, "darwin", "/somewhere/me/Library/Caches/pyllama/models"),
        ({"LOCALAPPDATA": "/local"}, "win32", "/local/pyllama/models"),
        ({}, "win32", "/somewhere/me/AppData/Local/pyllama/models"),
    ],
)
def test_the_cache_follows_the_platform(
    environ: dict[str, str], platform: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PYLLAMA_CACHE wins; else each platform's convention for caches holds."""
    monkeypatch.setenv("HOME", "/somewhere/me")
    assert cache_folder(environ, platform) == Path(expected)


def test_a_cache_that_cannot_be_made_names_the_variable(tmp_path: Path) -> None:
    """A file where the cache folder should be is an error with a remedy, not a traceback."""
    (tmp_path / "file").touch()
    with (
        pytest.raises(ModelNotFound, match="PYLLAMA_CACHE"),
        locked(tmp_path / "file" / "models", progress=False),
    ):
        pytest.fail("the lock was taken")


def test_the_second_fetcher_waits_for_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While the lock is held, another fetch says that it waits, and goes on once it is free."""
    entered = threading.Event()

    def second() -> None:
        with locked(tmp_path, progress=True):
            entered.set()

    with locked(tmp_path, progress=True):
        thread = threading.Thread(target=second)
        thread.start()
        assert not entered.wait(0.2)
    assert entered.wait(5)
    thread.join()
    assert "waiting for another process" in capsys.readouterr().err
