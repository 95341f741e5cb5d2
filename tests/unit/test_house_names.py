"""The public names, and the names that must not stand in any file."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

import pyllama
from pyllama import hub

ROOT = Path(__file__).parents[2]

# Put together here, so that this file passes its own check.
_HOSTS = ("pypi" + ".org", "python" + "hosted.org", "ana" + "conda.org", "npm" + "js.org")
HOST = re.compile("|".join(re.escape(host) for host in _HOSTS))
# A path of somebody's machine; one inside a URL or after a variable is none.
MACHINE_PATH = re.compile(
    r"(?<![\w.~$}>/-])(?:/(?:root|home|Users|work|tmp|private|workspace)/|[A-Z]:\\Users\\)\w"
)


def tracked(root: Path) -> list[Path]:
    """Return the files that are, or would be, in the repository."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=root,
        check=True,
        capture_output=True,
        timeout=30,
    ).stdout.decode()
    return [path for name in listing.split("\0") if name and (path := root / name).is_file()]


def strangers(path: Path) -> list[str]:
    """Return the host names and machine paths that a file mentions, each with its line."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return [
        f"{path.name}:{number}: {match.group()}"
        for number, line in enumerate(text.splitlines(), 1)
        for pattern in (HOST, MACHINE_PATH)
        for match in pattern.finditer(line)
    ]


@pytest.mark.parametrize("module", [pyllama, hub], ids=lambda module: module.__name__)
def test_public_names_are_sorted(module: object) -> None:
    """__all__ is sorted and names nothing twice, so that a new name has one place to go."""
    names = module.__all__  # type: ignore[attr-defined]
    assert names == sorted(set(names))


@pytest.mark.parametrize("name", pyllama.__all__)
def test_public_names_are_importable(name: str) -> None:
    """Every name that pyllama promises is there, once the extension is built."""
    pytest.importorskip("pyllama._ext", exc_type=ImportError)
    assert getattr(pyllama, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    """Lazy import does not turn a typing mistake into something else."""
    with pytest.raises(AttributeError, match="Lama"):
        _ = pyllama.Lama


def test_no_file_names_a_registry_or_a_machine() -> None:
    """Files work with any package index, on any machine, in any folder."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    assert [line for path in tracked(ROOT) for line in strangers(path)] == []


@pytest.mark.parametrize(
    "line",
    [
        "index-url = https://" + _HOSTS[0] + "/simple",
        "see https://files." + _HOSTS[1],
        "cd /" + "home/someone/src",
        'open("/' + 'tmp/x")',
        "C:" + "\\Users\\me",
    ],
)
def test_a_stranger_is_found(line: str, tmp_path: Path) -> None:
    """The check sees a host name and a machine path, and says where."""
    path = tmp_path / "file.md"
    path.write_text(f"fine\n{line}\n", encoding="utf-8")
    (found,) = strangers(path)
    assert found.startswith("file.md:2: ")


@pytest.mark.parametrize(
    "line",
    ["PYLLAMA_MODEL=/path/to/model.gguf", "https://host.example/work/x", "$HOME/x", "a/tmp/b"],
)
def test_placeholders_are_no_strangers(line: str, tmp_path: Path) -> None:
    """Paths that belong to nobody's machine pass."""
    path = tmp_path / "file.md"
    path.write_text(line, encoding="utf-8")
    assert strangers(path) == []
