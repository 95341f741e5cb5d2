"""Every test says in one sentence what is true when it passes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def unsaid(root: Path) -> list[str]:
    """Return the tests without a docstring that is a sentence, each with its file."""
    found = []
    for path in sorted(root.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            said = (ast.get_docstring(node) or "").strip()
            if len(said.split()) < 3 or not said.endswith("."):
                found.append(f"{path.relative_to(root).as_posix()}: {node.name}")
    return found


def test_every_test_says_what_is_true() -> None:
    """No test leaves its reader to find out what it holds."""
    assert unsaid(TESTS) == []


@pytest.mark.parametrize("docstring", ["", '"""Works."""', '"""no full stop at the end"""'])
def test_a_silent_test_is_found(docstring: str, tmp_path: Path) -> None:
    """A missing docstring, or one that is no sentence, is reported."""
    text = f"class TestX:\n    def test_y(self):\n        {docstring or 'pass'}\n"
    (tmp_path / "test_a.py").write_text(text, encoding="utf-8")
    assert unsaid(tmp_path) == ["test_a.py: test_y"]
