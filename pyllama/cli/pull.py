"""``pyllama pull REF``: fetch a model, print where it is."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from pyllama import hub
from pyllama.hub.reference import KINDS


def run(arguments: Sequence[str]) -> int:
    """Resolve a model reference, check the file, and print its path on stdout.

    Raises:
        PyllamaError: the model cannot be had, or its file is damaged.
    """
    parser = argparse.ArgumentParser(
        prog="pyllama pull",
        description="Fetch a model, unless it is here already, and print the path of its file.",
    )
    parser.add_argument("ref", metavar="REF", help=KINDS)
    path = hub.resolve(parser.parse_args(arguments).ref)
    hub.check_gguf(path)
    sys.stdout.write(f"{path}\n")
    return 0
