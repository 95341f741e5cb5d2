"""Which room may import which: wsgi -> pyllama -> ext, never back; the scheduler stands alone."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# `import a.b`, `from a.b import c`, and Cython's cimport of either form.
_CYTHON_IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import|c?import\s+([\w.]+))", re.MULTILINE)

HTTP = {"falcon", "gunicorn", "wsgi"}
# The scheduler is given the time and owns no thread, so its tests take milliseconds.
NOT_PURE = {"asyncio", "concurrent", "multiprocessing", "socket", "subprocess", "threading", "time"}
SCHED_MAY = ("pyllama.errors", "pyllama.params", "pyllama.results", "pyllama.sched")
EXT_MAY = ("pyllama.errors", "pyllama._ext")
COMPILED_ROOMS = (
    "pyllama/_ext/",
    "pyllama/engine/",
    "pyllama/text/",
    "pyllama/media/",
)
# The option table is llama.cpp's own, so settings read it where it is compiled.
COMPILED_ALLOWED = {("pyllama/settings", "pyllama._ext.options")}
PUBLIC = {
    "pyllama",
    "pyllama.errors",
    "pyllama.field_names",
    "pyllama.generation",
    "pyllama.generations",
    "pyllama.hub",
    "pyllama.interruption",
    "pyllama.media",
    "pyllama.metrics",
    "pyllama.openai_logprobs",
    "pyllama.openai_objects",
    "pyllama.params",
    "pyllama.results",
    "pyllama.settings",
    "pyllama.structured",
}


@dataclass(frozen=True)
class Rule:
    """What the files under a folder must not import."""

    folder: str
    forbids: Callable[[str, str], bool]
    """Called with a file's path from the root and a module that it imports."""
    reason: str


def inside(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in packages)


def sched_forbids(_path: str, module: str) -> bool:
    top = module.partition(".")[0]
    if top == "pyllama":
        return not inside(module, SCHED_MAY)
    return top not in sys.stdlib_module_names or top in NOT_PURE


def compiled_forbids(path: str, module: str) -> bool:
    if not inside(module, ("pyllama._ext",)) or path.startswith(COMPILED_ROOMS):
        return False
    return not any(path.startswith(file) and module == name for file, name in COMPILED_ALLOWED)


RULES = (
    Rule("pyllama", lambda _, module: module.partition(".")[0] in HTTP, "pyllama knows no HTTP"),
    Rule("pyllama", compiled_forbids, "only engine, text and media import compiled modules"),
    Rule("pyllama/sched", sched_forbids, "sched is pure: no model, thread, clock or other room"),
    Rule(
        "pyllama/errors.py",
        lambda _, module: inside(module, ("pyllama",)),
        "errors is the leaf that everything imports",
    ),
    Rule(
        "ext",
        lambda _, module: inside(module, ("pyllama",)) and not inside(module, EXT_MAY),
        "ext knows llama.cpp, and of pyllama only the errors",
    ),
    Rule(
        "wsgi",
        lambda _, module: inside(module, ("pyllama",)) and module not in PUBLIC,
        "wsgi uses public modules of pyllama",
    ),
)


def sources(root: Path, folder: str) -> Iterator[Path]:
    place = root / folder
    if place.is_file():
        yield place
    for suffix in ("py", "pyi", "pyx", "pxd"):
        yield from place.rglob(f"*.{suffix}")


def imports(path: Path, root: Path) -> Iterator[str]:
    """Yield the absolute name of every module that a file imports, for types or lazily included."""
    text = path.read_text(encoding="utf-8")
    if path.suffix in {".pyx", ".pxd"}:
        yield from (a or b for a, b in _CYTHON_IMPORT.findall(text))
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from from_import(node, path, root)


def from_import(node: ast.ImportFrom, path: Path, root: Path) -> Iterator[str]:
    base = node.module or ""
    if node.level:
        package = path.relative_to(root).parent.parts
        above = package[: len(package) - node.level + 1]
        base = ".".join([*above, base] if base else above)
    for alias in node.names:
        place = root.joinpath(*base.split("."), alias.name)
        is_module = place.is_dir() or place.with_suffix(".py").is_file()
        # A compiled module has no source beside the package that it lands in.
        is_module = is_module or base == "pyllama._ext"
        yield f"{base}.{alias.name}" if is_module else base


def violations(root: Path) -> list[str]:
    """Return every forbidden import as one line."""
    return [
        f"{name} imports {module}: {rule.reason}"
        for rule in RULES
        for path in sorted(sources(root, rule.folder))
        for name in [path.relative_to(root).as_posix()]
        for module in sorted(set(imports(path, root)))
        if rule.forbids(name, module)
    ]


def test_every_room_keeps_its_place() -> None:
    """No file imports what its room must not know."""
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    ("path", "text", "module"),
    [
        ("pyllama/llm.py", "import falcon", "falcon"),
        ("pyllama/llm.py", "def f():\n    from wsgi.app import x", "wsgi.app"),
        ("pyllama/llm.py", "from pyllama import _ext", "pyllama._ext"),
        ("pyllama/hub/x.py", "from pyllama._ext.model import Model", "pyllama._ext.model"),
        ("pyllama/settings.py", "from pyllama._ext.model import Model", "pyllama._ext.model"),
        ("pyllama/sched/a.py", "import threading", "threading"),
        ("pyllama/sched/a.py", "from time import monotonic", "time"),
        ("pyllama/sched/a.py", "import orjson", "orjson"),
        ("pyllama/sched/a.py", "from pyllama.engine.loop import x", "pyllama.engine.loop"),
        ("pyllama/sched/a.py", "from ..engine import loop", "pyllama.engine"),
        ("pyllama/sched/a.py", "if TYPE_CHECKING:\n    from pyllama import llm", "pyllama.llm"),
        ("pyllama/errors.py", "from pyllama.params import x", "pyllama.params"),
        ("ext/a.pyx", "from pyllama.settings import x", "pyllama.settings"),
        ("ext/a.pxd", "cimport pyllama.engine", "pyllama.engine"),
        ("wsgi/a.py", "from pyllama.engine.loop import Engine", "pyllama.engine.loop"),
        ("wsgi/openai/a.py", "from pyllama import sched", "pyllama.sched"),
        ("wsgi/a.py", "import pyllama.hub.cache", "pyllama.hub.cache"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path: Path, path: str, text: str, module: str) -> None:
    """Each rule sees the import that it is there for, however it is spelled."""
    for name in ("pyllama/llm.py", "pyllama/sched/__init__.py", "pyllama/_ext/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(text, encoding="utf-8")
    (found,) = violations(tmp_path)
    assert found.startswith(f"{path} imports {module}: ")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("pyllama/engine/a.py", "from pyllama._ext.context import Context"),
        ("pyllama/text/a.py", "from pyllama._ext import vocab"),
        ("pyllama/settings.py", "from pyllama._ext.options import Options"),
        ("pyllama/settings.py", "from pyllama._ext import options"),
        ("pyllama/sched/a.py", "import heapq\nfrom . import b\nfrom pyllama.errors import X"),
        ("ext/a.pyx", "from pyllama._ext.llama cimport (\n    x)\nfrom pyllama.errors import Y"),
        ("wsgi/openai/a.py", "from ..app import x\nfrom pyllama import Llama, errors, params"),
    ],
)
def test_an_allowed_import_is_not_found(tmp_path: Path, path: str, text: str) -> None:
    """What the design allows passes, relative imports included."""
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text, encoding="utf-8")
    assert violations(tmp_path) == []
