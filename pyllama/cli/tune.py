"""``pyllama tune [REF]``: measure which settings fit this machine; keep, show or forget them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from pyllama import hub
from pyllama.errors import ConfigError
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
    parser = _parser()
    args = parser.parse_args(words[:split])
    if args.all and (args.ref or not (args.show or args.reset)):
        parser.error("--all goes with --show or --reset, and without REF")
    if args.show or args.reset:
        return _look(args, words[split + 1 :])
    return _measure(args, words[split + 1 :])


def _measure(args: argparse.Namespace, flags: list[str]) -> int:
    """Tune; return the exit status, 1 where what was measured is worth nothing."""
    # Imported here so that the other commands work where the extension is not built.
    from pyllama import settings  # noqa: PLC0415
    from pyllama.tune import plot, report  # noqa: PLC0415
    from pyllama.tune.run import tune  # noqa: PLC0415

    if args.plot:
        plot.check(args.plot)
    wanted = settings.from_arguments([*flags, *_model(args.ref)], os.environ)
    path = hub.resolve(wanted.model)
    say(f"tuning for {path.name}, about {args.seconds:.0f} s; Ctrl-C keeps nothing")
    _warn_of_load()
    result = tune(
        wanted,
        path,
        seconds=args.seconds,
        allows_lossy=args.allow_kv_quant,
        allows_busy=args.keep_busy,
        report=lambda trial: say(report.line(trial)),
    )
    sys.stdout.write(report.table(result) + "\n")
    if args.plot:
        plot.draw(result, args.plot)
    return 0 if result.path else 1


def _look(args: argparse.Namespace, flags: list[str]) -> int:
    """Show or forget what is kept."""
    from pyllama import settings  # noqa: PLC0415  (needs the extension)
    from pyllama.engine import tuned  # noqa: PLC0415
    from pyllama.settings.tuned import placement  # noqa: PLC0415
    from pyllama.tune import kept, report, store  # noqa: PLC0415

    wanted = settings.from_arguments([*flags, *_model(args.ref)], os.environ)
    path = None if args.all else hub.resolve(wanted.model)
    model = None if path is None else store.model_identity(path)
    name = "any model" if path is None else path.name
    if args.reset:
        try:
            n_files = kept.forget(model)
        except OSError as error:
            raise ConfigError(f"cannot forget it: {error}") from error
        sys.stdout.write(f"forgotten for {name}: {n_files} result{'' if n_files == 1 else 's'}\n")
        return 0
    found = kept.results(model)
    here = (tuned.machine(), placement(wanted), tuned.build()) if found else ()
    lines = [line for each in found for line in report.entry(each, each.obstacle(*here))]
    sys.stdout.write("\n".join(lines or [f"nothing is kept for {name}"]) + "\n")
    return 0


def _model(ref: str | None) -> list[str]:
    return ["--model", ref] if ref else []


def _warn_of_load() -> None:
    """Say so where others seem to compute, before the minutes of measuring."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.5:
        say(
            f"the machine is busy (load {load:.1f}): beside others fewer threads look better than "
            "they are; if that goes on, nothing is kept"
        )


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
    parser.add_argument(
        "--keep-busy",
        action="store_true",
        help="keep the result also where others compute: it is what is best beside them",
    )
    look = parser.add_mutually_exclusive_group()
    look.add_argument(
        "--show", action="store_true", help="show what is kept for the model, and since when"
    )
    look.add_argument("--reset", action="store_true", help="forget what is kept for the model")
    parser.add_argument("--all", action="store_true", help="with those two: for every model")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw it; needs matplotlib")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not _MIN_S <= seconds <= _MAX_S:
        raise argparse.ArgumentTypeError(f"must be within {_MIN_S:.0f} and {_MAX_S:.0f}")
    return seconds
