"""The command: ``python -m bench compare``, and others that ``python -m bench --help`` lists."""

from __future__ import annotations

import argparse
import importlib
import json
import logging
import signal
import sys
from pathlib import Path
from types import FrameType

from bench.client import RequestFailed
from bench.compare import WorkDiffers
from pyllama.errors import PyllamaError

_COMMANDS = {
    "compare": "pyllama's server against llama-server under the same load",
    "decode": "one stream over HTTP against llama-bench",
    "batched": "several streams over HTTP against llama-batched-bench",
    "ends": "streams beside answers whose schema is expensive to check",
    "busy": "streams beside a program that keeps a core busy, against llama-server",
    "media": "pictures: whether answers are llama-server's, and how they run beside text",
    "flat": "what a token costs at both ends of a long streamed answer",
    "siege": "what /health takes while clients hold connections that they do not use",
    "reading": "what telling content from tool calls costs a token",
    "kernels": "bare llama_decode with pyllama's kernels and without",
    "logits": "how far logits move when sequences share a batch",
    "scheduler": "what the scheduler costs a step, without a model",
    "random-model": "write a large model of random weights",
}


def main() -> None:
    """Run one measurement and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, title in _COMMANDS.items():
        module = importlib.import_module(f"bench.{name.replace('-', '_')}")
        command = commands.add_parser(name, help=title, description=module.__doc__)
        command.add_argument("--json", type=Path, metavar="FILE", help="also write the record")
        module.add_arguments(command)
        command.set_defaults(module=module)
    args = parser.parse_args()
    # As an exception, so that the servers that run at that moment are stopped too.
    signal.signal(signal.SIGTERM, _exit)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        record = args.module.measure(args)
    except (PyllamaError, RequestFailed, WorkDiffers) as error:
        raise SystemExit(f"python -m bench {args.command}: {error}") from error
    if args.json:
        args.json.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(args.module.table(record))


def _exit(number: int, _frame: FrameType | None) -> None:
    # Once is enough: a second signal must not interrupt the stopping.
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


if __name__ == "__main__":
    main()
