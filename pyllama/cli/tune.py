"""``pyllama tune [REF]``: measure which settings fit this machine, and keep them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pyllama import hub
from pyllama.hub.reference import KINDS
from pyllama.hub.report import say

_MIN_S = 1.0
_MAX_S = 3600.0


def run(arguments: Sequence[str]) -> int:
    """Tune a model; print the table on stdout, each step on stderr.

    Raises:
        PyllamaError: a flag is wrong, or the model cannot be had or measured.
    """
    words = list(arguments)
    split = words.index("--") if "--" in words else len(words)
    args = _parser().parse_args(words[:split])
    # Imported here so that the other commands work where the extension is not built.
    from pyllama import settings  # noqa: PLC0415
    from pyllama.tune import plot, report  # noqa: PLC0415
    from pyllama.tune.run import tune  # noqa: PLC0415

    if args.plot:
        plot.check(args.plot)
    model = ["--model", args.ref] if args.ref else []
    wanted = settings.from_arguments([*words[split + 1 :], *model], os.environ)
    path = hub.resolve(wanted.model)
    say(f"tuning for {path.name}, about {args.seconds:.0f} s; Ctrl-C keeps nothing")
    _warn_of_load()
    result = tune(
        wanted,
        path,
        seconds=args.seconds,
        allows_lossy=args.allow_kv_quant,
        report=lambda trial: say(report.line(trial)),
    )
    sys.stdout.write(report.table(result) + "\n")
    if args.plot:
        plot.draw(result, args.plot)
    return 0


def _warn_of_load() -> None:
    """Say so where others compute: what is found then is the best beside them."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.5:
        say(f"the machine is busy (load {load:.1f}): fewer threads look better than they are")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pyllama tune",
        usage="pyllama tune [REF] [OPTIONS] [-- FLAGS]",
        description="Measure which settings are fastest for a model on this machine, and keep "
        "them: `pyllama serve` and `Llama` use them from then on, beneath what they are told.",
        epilog="FLAGS are those of `pyllama serve` (-np 8 -c 32768): they hold while it measures, "
        "and what they name is not tuned.",
        allow_abbrev=False,
    )
    parser.add_argument("ref", metavar="REF", nargs="?", help=f"{KINDS} (default: as serve)")
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=100.0,
        metavar="N",
        help="time to measure (default: 100)",
    )
    parser.add_argument(
        "--allow-kv-quant",
        action="store_true",
        help="also use a quantised KV cache where it is faster; it changes answers slightly",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw it; needs matplotlib")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not _MIN_S <= seconds <= _MAX_S:
        raise argparse.ArgumentTypeError(f"must be within {_MIN_S:.0f} and {_MAX_S:.0f}")
    return seconds
