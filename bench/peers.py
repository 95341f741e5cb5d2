"""llama.cpp's own programs, built from vendor/llama.cpp with the flags that our wheel has."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from pathlib import Path

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "peers"

# The options of CMakeLists.txt, and the tools on top.
_OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "BUILD_SHARED_LIBS": "ON",
    "LLAMA_ALL_WARNINGS": "OFF",
    "LLAMA_BUILD_APP": "OFF",
    "LLAMA_BUILD_EXAMPLES": "OFF",
    "LLAMA_BUILD_TESTS": "OFF",
    "LLAMA_OPENSSL": "OFF",
    "LLAMA_USE_PREBUILT_UI": "OFF",
    "CMAKE_PROJECT_llama.cpp_INCLUDE": str(Path(__file__).with_name("llama_server.cmake")),
}


def build(target: str) -> Path:
    """Build a program of llama.cpp's tools; return its path."""
    options = [f"-D{name}={value}" for name, value in _OPTIONS.items()]
    options += os.environ.get("CMAKE_ARGS", "").split()
    launcher = shutil.which("ccache")
    if launcher:
        options += [f"-DCMAKE_{lang}_COMPILER_LAUNCHER={launcher}" for lang in ("C", "CXX")]
    logger.info("building %s; the first time takes minutes", target)
    source = ROOT / "vendor" / "llama.cpp"
    _run("cmake", "-G", "Ninja", "-S", str(source), "-B", str(BUILD), *options)
    _run("cmake", "--build", str(BUILD), "--target", target)
    return BUILD / "bin" / target


def flags() -> dict[str, str]:
    """Return the compile options that decide speed, as CMake recorded them."""
    wanted = ("GGML_NATIVE", "GGML_CUDA", "GGML_OPENMP", "GGML_LLAMAFILE", "CMAKE_BUILD_TYPE")
    found = {}
    for line in (BUILD / "CMakeCache.txt").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        if name.split(":")[0] in wanted:
            found[name.split(":")[0]] = value
    return found


def _run(*command: str) -> None:
    run = subprocess.run(command, check=False, capture_output=True, text=True)
    if run.returncode != 0:
        raise SystemExit(f"{' '.join(command[:4])} failed:\n{(run.stdout + run.stderr)[-3000:]}")
