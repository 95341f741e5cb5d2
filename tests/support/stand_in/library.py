"""The library of the stand-in: compiled with the compiler that the build needs anyway."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pyllama._ext import backend

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
KERNELS = ROOT / "ext" / "kernels"
LLAMA_CPP = ROOT / "vendor" / "llama.cpp"
LIBRARIES = Path(backend.__file__).parents[1] / "lib"

_INCLUDED = (
    KERNELS,
    ROOT / "ext" / "bridge",
    LLAMA_CPP / "include",
    LLAMA_CPP / "ggml" / "include",
    LLAMA_CPP / "ggml" / "src",
)
_FLAGS = ("-std=c++17", "-O2", "-fPIC", "-fvisibility=hidden", "-DPYLLAMA_KERNELS_AVX512")
_STAND_IN_FLAGS = ("-mavx2", "-mfma", "-mf16c", "-Wno-psabi", f"-I{HERE}")


class BuildError(Exception):
    """What the compiler said."""


def missing() -> str:
    """Say what is lacking to compile it; nothing where all is there."""
    if _compiler() is None:
        return "the stand-in for AVX-512 needs a C++ compiler"
    if not LLAMA_CPP.is_dir():
        return "the stand-in for AVX-512 needs llama.cpp's source, which the build fetches"
    return ""


def _compiler() -> str | None:
    names = (os.environ.get("CXX", "c++"), "g++", "clang++")
    return next((path for path in map(shutil.which, names) if path), None)


def _run(*arguments: str | Path) -> str:
    command = [str(_compiler()), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise BuildError(result.stderr)
    return result.stdout


def _name() -> str:
    """Return a name that tells what the library is made of."""
    parts = [_run("--version").encode(), repr((_FLAGS, _STAND_IN_FLAGS, LIBRARIES)).encode()]
    vendor = ROOT / "vendor"
    folders = (KERNELS, HERE, vendor / "patches")
    files = [path for folder in folders for path in folder.iterdir() if path.is_file()]
    parts += [path.read_bytes() for path in sorted([*files, vendor / "llama.cpp.txt"])]
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def has_kernels() -> bool:
    """Tell whether the processor's kernels were compiled: not every compiler knows AVX-512."""
    # The name by which install.cpp tells of them.
    return any(b"\0avx512\0" in path.read_bytes() for path in LIBRARIES.glob("libpyllama_bridge.*"))


def built(folder: Path) -> Path:
    """Compile the library, unless it is in the folder."""
    library = folder / f"{_name()}.so"
    if library.exists():
        return library
    made = folder / f"{library.stem}-{os.getpid()}"
    made.mkdir()

    def compiled(source: Path) -> Path:
        target = made / f"{source.stem}.o"
        own = _STAND_IN_FLAGS if "avx512" in source.name else ()
        _run(*_FLAGS, *own, *(f"-I{path}" for path in _INCLUDED), "-c", source, "-o", target)
        return target

    # stand_in.cpp contains install.cpp.
    sources = {*KERNELS.glob("*.cpp"), HERE / "stand_in.cpp"} - {KERNELS / "install.cpp"}
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(compiled, sorted(sources)))
        linked = [next(LIBRARIES.glob(f"{name}.*")) for name in ("libggml", "libggml-base")]
        path = made / library.name
        _run("-shared", f"-Wl,-rpath,{LIBRARIES}", *objects, *linked, "-ldl", "-o", path)
        path.replace(library)
    finally:
        shutil.rmtree(made)
    return library
