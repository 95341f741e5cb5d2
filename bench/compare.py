"""pyllama's server against llama-server, in turns, under the same load.

Every load gets a fresh server, with the same model, threads, slots and context on both sides and
every other option at its default. Which side goes first changes from round to round.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import shlex
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench import figures, models, plot, record, report
from bench.client import Streamed, stream
from bench.server import PYLLAMA, Running, Side, llama_server, serve
from bench.words import text
from bench.workloads import FULL, QUICK, WORKLOADS, Load, Phase, Sizes

logger = logging.getLogger(__name__)

Rows = dict[str, dict[str, list[dict[str, Any]]]]
"""Samples of all rounds, by row of the report and by side."""


class WorkDiffers(Exception):
    """The two servers did not do the same work, so their times cannot be compared."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this measurement's options."""
    add_server_arguments(parser)
    parser.add_argument(
        "--workloads",
        type=names_of(WORKLOADS),
        default=list(WORKLOADS),
        help=f"some of {','.join(WORKLOADS)} (default: all)",
    )
    parser.add_argument("--quick", action="store_true", help="less work: a look, no measurement")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="also draw the medians")


def add_server_arguments(parser: argparse.ArgumentParser, more_models: str = "") -> None:
    """Add the options of every measurement of the two servers.

    Args:
        parser: gets them.
        more_models: what the help says of models that this measurement alone has.
    """
    models.add_argument(parser, default="q4_0", more=more_models)
    parser.add_argument("--threads", type=int, default=2, help="-t of both (default: 2)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    parser.add_argument(
        "--llama-server-slots",
        choices=["same", "auto"],
        default="same",
        help="auto: no -np for llama-server, which is 4 slots in one pool (default: same)",
    )
    parser.add_argument(
        "--tuned", action="store_true", help="let pyllama use what `pyllama tune` found before"
    )
    for side in ("pyllama", "llama-server"):
        parser.add_argument(
            f"--{side}-flags",
            type=shlex.split,
            default=[],
            metavar="FLAGS",
            help=f"more flags for {side} alone; they appear in the record",
        )


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run every load on both sides, in every round; return the record."""
    model = models.resolve(args.model)
    sides = [PYLLAMA, llama_server()]
    loads = [load for name in args.workloads for load in WORKLOADS[name](_sizes(args))]
    context = record.context(
        model, **server_settings(args), workloads=args.workloads, quick=args.quick
    )
    rows: Rows = {}
    for round_ in range(args.rounds):
        for place, load in enumerate(loads):
            for side in in_turn(sides, round_ + place):
                logger.info("round %d of %d, %s", round_ + 1, args.rounds, side.name)
                with serve(side, model, flags(side, load, args), is_tuned=args.tuned) as server:
                    run_load(load, server, rows, side)
    check_same_work(rows)
    data = {"workload": "pyllama against llama-server", **context, "rows": rows}
    if args.plot:
        plot.draw(data, args.plot)
    return data


def table(data: dict[str, Any]) -> str:
    """Return the record as text."""
    return report.table(data)


def in_turn(sides: Sequence[Side], turn: int) -> list[Side]:
    """Return the sides in the order of this turn: the other way round in every second one."""
    return list(sides if turn % 2 == 0 else reversed(sides))


def flags(side: Side, load: Load, args: argparse.Namespace) -> list[str]:
    """Return the flags of a server: the same for both unless the command says otherwise."""
    slots = ["-np", str(load.n_slots)]
    if side is not PYLLAMA and args.llama_server_slots == "auto":
        slots = []
    own = args.pyllama_flags if side is PYLLAMA else args.llama_server_flags
    return ["-c", str(load.n_ctx), *slots, "-t", str(args.threads), *load.flags, *own]


def check_same_work(rows: Rows) -> None:
    """Compare the numbers of tokens that both sides read and generated.

    Raises:
        WorkDiffers: they are not the same in every round.
    """
    for name, by_side in rows.items():
        work = {
            side: {(sample["n_requests"], sample["n_generated"]) for sample in samples}
            for side, samples in by_side.items()
        }
        if len(set().union(*work.values())) != 1:
            raise WorkDiffers(f"{name}: (requests, tokens generated) were {work}")


def run_load(load: Load, server: Running, rows: Rows, side: Side) -> None:
    """Run the phases of a load against a fresh server; add their samples to the rows."""
    # The first request pays for pages of the model and for buffers that no later one pays for.
    asyncio.run(stream(server.port, text("warm-up", 16), 8))
    for phase in load.phases:
        for name, sample in run_phase(phase, server).items():
            rows.setdefault(name, {}).setdefault(side.name, []).append(sample)
            logger.info("  %s: %.2f s", name, sample["wall_s"])


def run_phase(phase: Phase, server: Running) -> dict[str, dict[str, Any]]:
    """Drive one phase; return the sample of each of its rows."""
    server.processes.reset_peak()
    cpu_s, own_cpu_s = server.processes.cpu_s(), time.process_time()
    groups = asyncio.run(_drive(phase, server.port))
    counters = figures.Counters(
        client_cpu_s=time.process_time() - own_cpu_s,
        server_cpu_s=server.processes.cpu_s() - cpu_s,
        peak_bytes=server.processes.peak_bytes(),
    )
    return {
        ": ".join(filter(None, (phase.name, group))): _sample(streams, counters)
        for group, streams in groups.items()
    }


async def _drive(phase: Phase, port: int) -> dict[str, list[Streamed]]:
    return dict(await phase.drive(partial(stream, port)))


def _sample(streams: list[Streamed], counters: figures.Counters) -> dict[str, Any]:
    return {
        **figures.compute(streams, counters).as_dict(),
        "n_requests": len(streams),
        "n_generated": sum(stream.n_tokens for stream in streams),
        "n_prompt": sum(stream.n_prompt for stream in streams),
        "n_cached": sum(stream.n_cached for stream in streams),
        "n_chunks": sum(len(stream.token_s) for stream in streams),
    }


def _sizes(args: argparse.Namespace) -> Sizes:
    return QUICK if args.quick else FULL


def server_settings(args: argparse.Namespace) -> dict[str, Any]:
    """Return what :func:`add_server_arguments` let one say, for the record."""
    names = ("threads", "rounds", "llama_server_slots", "tuned")
    return {name: getattr(args, name) for name in names} | {
        "pyllama_flags": args.pyllama_flags,
        "llama_server_flags": args.llama_server_flags,
    }


def names_of(known: Collection[str]) -> Callable[[str], list[str]]:
    """Return the type of an option that takes some of these names."""

    def read(names: str) -> list[str]:
        chosen = names.split(",")
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(
                f"unknown: {', '.join(unknown)}; there are {', '.join(known)}"
            )
        return chosen

    return read
