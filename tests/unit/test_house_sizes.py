"""A file holds one concept and stays under 400 lines; a function fits a screen."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("pyllama", "wsgi", "ext", "tests", "bench", "ci")
SUFFIXES = {".py", ".pyi", ".pyx", ".pxd", ".cpp", ".h", ".hpp", ".c"}
MAX_FILE = 400
MAX_FUNCTION = 60

_CYTHON_FUNCTION = re.compile(r"^(\s*)(?:def|cdef|cpdef)\b[^=#]*?(\w+)\s*\(")


def sources(root: Path) -> list[Path]:
    return sorted(
        path for room in ROOMS for path in (root / room).rglob("*") if path.suffix in SUFFIXES
    )


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield each function's name and its number of lines, signature and docstring included."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in {".pyx", ".pxd"}:
        yield from cython_functions(text.splitlines())
    elif path.suffix in {".py", ".pyi"}:
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def cython_functions(lines: list[str]) -> Iterator[tuple[str, int]]:
    """Find functions by indentation: Cython is no Python that `ast` reads."""
    for start, line in enumerate(lines):
        if not (match := _CYTHON_FUNCTION.match(line)):
            continue
        indent, last = len(match[1]), start
        for number in range(start + 1, len(lines)):
            body = lines[number]
            if not body.strip():
                continue
            # A closing bracket in the first column still belongs to the signature.
            if len(body) - len(body.lstrip()) <= indent and not body.lstrip().startswith(")"):
                break
            last = number
        yield match[2], last - start + 1


def too_long(root: Path) -> list[str]:
    """Return every file and function past its limit as one line."""
    found = []
    for path in sources(root):
        name = path.relative_to(root).as_posix()
        n_lines = len(path.read_text(encoding="utf-8").splitlines())
        if n_lines >= MAX_FILE:
            found.append(f"{name}: {n_lines} lines; it holds two concepts")
        found += [
            f"{name}: {function} has {n_lines} lines"
            for function, n_lines in functions(path)
            if n_lines > MAX_FUNCTION
        ]
    return found


def test_nothing_is_too_long() -> None:
    """No file reaches 400 lines and no function passes 60."""
    assert too_long(ROOT) == []


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("pyllama/a.py", "x = 1\n" * 400, "pyllama/a.py: 400 lines"),
        ("ext/bridge/a.cpp", "int x;\n" * 450, "ext/bridge/a.cpp: 450 lines"),
        ("tests/unit/a.py", "class A:\n    def f(self):\n" + "        x\n" * 60, "f has 61 lines"),
        (
            "ext/a.pyx",
            "cdef class A:\n    cdef int f(self) except -1:\n" + "        x\n\n" * 61,
            "f has",
        ),
        ("ext/b.pyx", "def g(\n    x,\n):\n" + "    y\n" * 60, "g has 63 lines"),
    ],
)
def test_a_long_one_is_found(tmp_path: Path, path: str, text: str, said: str) -> None:
    """The check sees a long file and a long function, in Python and in Cython."""
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text, encoding="utf-8")
    (found,) = too_long(tmp_path)
    assert said in found


def test_the_limits_themselves_pass(tmp_path: Path) -> None:
    """399 lines and a function of 60 are allowed; what follows a function is not its body."""
    (tmp_path / "pyllama").mkdir()
    (tmp_path / "ext").mkdir()
    body = "def f():\n" + "    x\n" * 59
    (tmp_path / "pyllama" / "a.py").write_text(body + "x\n" * (399 - 60), encoding="utf-8")
    (tmp_path / "ext" / "a.pyx").write_text(body + "x = 1\n" * 100, encoding="utf-8")
    assert too_long(tmp_path) == []
