"""The models that are measured: the default one at Q4_0, as it is (Q4_1), or any other.

Q4_0 is what llama.cpp's fastest CPU kernels take. The default model comes as Q4_1, so llama.cpp's
own quantiser makes the other file once, into the cache of fetched models.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import tempfile
from pathlib import Path

from bench import peers
from pyllama import hub
from pyllama.hub.cache import cache_folder, locked

logger = logging.getLogger(__name__)

_Q4_0 = "SmolLM2-135M-Instruct.Q4_0.gguf"


def add_argument(parser: argparse.ArgumentParser, default: str, more: str = "") -> None:
    """Add ``--model``; its help names more models where a measurement has some of its own."""
    parser.add_argument(
        "--model",
        default=default,
        help="q4_0 or q4_1 (the default model so quantised), or any model reference"
        f"{more} (default: {default})",
    )


def resolve(name: str) -> Path:
    """Return the file of a model, making it first where it is not there yet."""
    if name == "q4_0":
        return _requantised(cache_folder() / _Q4_0)
    return hub.resolve("default" if name == "q4_1" else name)


def _requantised(target: Path) -> Path:
    if target.is_file():
        return target
    source = hub.resolve("default")
    program = peers.build("llama-quantize")
    with locked(target.parent, progress=True):
        if not target.is_file():
            logger.info("quantising %s to Q4_0", source.name)
            _quantise(program, source, target)
    return target


def _quantise(program: Path, source: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        # Under another name first: a file that is there is whole.
        fresh = Path(scratch) / target.name
        command = [str(program), "--allow-requantize", str(source), str(fresh), "Q4_0"]
        run = subprocess.run(command, check=False, capture_output=True, text=True)
        if run.returncode != 0:
            raise SystemExit(f"{program.name} failed:\n{(run.stdout + run.stderr)[-2000:]}")
        fresh.replace(target)
