"""What docs/architecture.md says of files, rooms, threads and words is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAP = ROOT / "docs" / "architecture.md"

_QUOTED = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"(?:pyllama|wsgi|ext|vendor|tests|docs|bench|ci)(?:/[\w.*-]+)*")
_THREAD = re.compile(r"""(?:name|thread_name_prefix)=f?"(pyllama-[a-z-]+)""")
_SOURCES = (".py", ".pyx", ".pyi", ".cpp", ".h", ".json")
NOT_SOURCES = ("pyllama/lib/", "wsgi/page/static/")


def section(title: str) -> str:
    """Return what stands under a heading, its sections included."""
    text = MAP.read_text(encoding="utf-8")
    level, _, _ = title.partition(" ")
    _, _, rest = text.partition(f"\n{title}\n")
    assert rest, title
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def paths(text: str) -> list[str]:
    """Return the files and folders that a text names."""
    return [name for name in _QUOTED.findall(text) if _PATH.fullmatch(name)]


def first_cells(text: str) -> list[str]:
    """Return what stands in the first column of a table."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [row.split("|")[1].strip() for row in rows[2:]]


def mentions(name: str) -> set[str]:
    """Return the sources that name a thing, those of tests left out."""
    word = re.compile(rf"\b{name}\b")
    return {
        place
        for room in ("pyllama", "wsgi", "ext")
        for path in (ROOT / room).rglob("*")
        if path.suffix in _SOURCES
        and not (place := path.relative_to(ROOT).as_posix()).startswith(NOT_SOURCES)
        and word.search(path.read_text(encoding="utf-8"))
    }


def test_what_is_named_exists() -> None:
    """Every file and folder that the map names is there."""
    missing = [
        name for name in paths(MAP.read_text(encoding="utf-8")) if not (ROOT / name).exists()
    ]
    assert missing == []


def test_every_room_is_told() -> None:
    """No folder with code is missing from the table of rooms, and none is there that has none."""
    told = set(paths(" ".join(first_cells(section("## Rooms")))))
    rooms = {
        folder.relative_to(ROOT).as_posix()
        for room in ("pyllama", "wsgi")
        for folder in (ROOT / room).iterdir()
        if (folder / "__init__.py").exists()
    }
    # The command has rooms of its own.
    assert told == rooms | {"vendor", "ext", "wsgi"}


def test_every_thread_is_told() -> None:
    """The threads that are started are those of the table, by their names."""
    started = {
        name.rstrip("-")
        for room in ("pyllama", "wsgi")
        for path in (ROOT / room).rglob("*.py")
        for name in _THREAD.findall(path.read_text(encoding="utf-8"))
    }
    named = re.findall(r"`(pyllama-[a-z-]+?)(?:-N)?`", " ".join(first_cells(section("## Threads"))))
    assert started == set(named)


@pytest.mark.parametrize("name", ["adaptive_decay", "dynatemp_exponent", "xtc_threshold"])
def test_a_sampler_parameter_is_where_the_map_says(name: str) -> None:
    """One that is a number is named in the listed files, and in no other."""
    listed = [line for line in section("### A sampler parameter").splitlines() if line[:2] == "- "]
    assert mentions(name) == set(paths(" ".join(listed)))


@pytest.mark.parametrize("name", ["prepare_s", "read_timeout_s", "max_unfinished"])
def test_a_setting_is_where_the_map_says(name: str) -> None:
    """It is told in the listed files; beside them it is named where it is used alone."""
    listed = {path for path in paths(section("### A setting")) if path.startswith("pyllama/")}
    found = {path for path in mentions(name) if path.startswith("pyllama/settings/")}
    assert found == listed - {"pyllama/settings/collect.py"}
    assert f"--{name.replace('_', '-')}" in (ROOT / "docs/serving.md").read_text(encoding="utf-8")


def test_words_are_told_once_and_sorted() -> None:
    """The glossary has each word once, in the order of the alphabet."""
    words = [word.casefold() for word in first_cells(section("## Words"))]
    assert words == sorted(set(words))
