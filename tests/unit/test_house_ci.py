"""What CI runs is what the README tells people to run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = (".ci/run", "ci/check", "ci/coding_agents", "ci/test_command", "ci/wheels")


def extract(readme: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "ci" / "test_command"), str(readme)],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_the_readme_gives_the_test_command() -> None:
    """The README has one marked block, and it installs the checkout and runs pytest."""
    result = extract(ROOT / "README.md")
    assert result.stderr == ""
    assert "pip install -e '.[test]'" in result.stdout
    assert "pytest" in result.stdout


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("<!-- test-command -->\n```sh\npip install x && pytest\n```\n", "pip install x && pytest"),
        ("a\n\n<!-- test-command -->\n\n```\na\nb\n```\nc\n```\nd\n```", "a\nb"),
    ],
)
def test_the_marked_block_is_printed(text: str, command: str, tmp_path: Path) -> None:
    """The block after the marker is the command, all its lines and nothing else."""
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    assert extract(tmp_path / "README.md").stdout == f"{command}\n"


@pytest.mark.parametrize("n_blocks", [0, 2])
def test_anything_but_one_block_is_an_error(n_blocks: int, tmp_path: Path) -> None:
    """Without a block, or with two, CI stops and says so instead of running the wrong thing."""
    block = "<!-- test-command -->\n```sh\nx\n```\n"
    (tmp_path / "README.md").write_text(block * n_blocks, encoding="utf-8")
    result = extract(tmp_path / "README.md")
    assert result.returncode == 1
    assert f"{n_blocks} code blocks" in result.stderr


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_can_be_run(name: str) -> None:
    """Each script is executable and, where it is bash, parses."""
    path = ROOT / name
    assert os.access(path, os.X_OK)
    bash = shutil.which("bash")
    if path.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash") and bash:
        subprocess.run([bash, "-n", str(path)], check=True, timeout=30)
