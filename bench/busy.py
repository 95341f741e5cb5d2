"""Several streams alone, and beside a program that keeps one core busy: both servers, in turns.

Where threads that wait for each other spin, the one they wait for may be off its core for a time
slice at every operation. How much of its pace a server keeps is what is measured: with one of two
cores taken half of it is fair, with one of many nearly all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from bench import models, record
from bench.client import stream
from bench.compare import add_server_arguments, in_turn, server_settings
from bench.report import place
from bench.server import PYLLAMA, Side, llama_server, serve
from bench.words import text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

# It ends by itself, also where nobody is left to end it.
_BUSY_S = 900
_PROGRAM = f"import time\nend = time.monotonic() + {_BUSY_S}\nwhile time.monotonic() < end: pass"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this measurement's options."""
    add_server_arguments(parser)
    parser.add_argument("--streams", type=int, default=4, help="(default: 4)")
    parser.add_argument("--busy", type=int, default=1, help="cores kept busy (default: 1)")
    parser.add_argument("--tokens", type=int, default=96, help="of a stream (default: 96)")
    parser.add_argument(
        "--llama-server-busy-tokens",
        type=int,
        default=8,
        help="of a stream of llama-server's beside the busy core: fewer, or it takes minutes",
    )


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run both servers alone and beside busy cores; return the record."""
    model = models.resolve(args.model)
    sides = [PYLLAMA, llama_server()]
    context = record.context(
        model,
        **server_settings(args),
        streams=args.streams,
        busy=args.busy,
        tokens=args.tokens,
        llama_server_busy_tokens=args.llama_server_busy_tokens,
    )
    rates: dict[str, dict[str, list[float]]] = {}
    for round_ in range(args.rounds):
        for side in in_turn(sides, round_):
            logger.info("round %d of %d, %s", round_ + 1, args.rounds, side.name)
            flags = ["-c", str(1024 * args.streams), "-np", str(args.streams)]
            own = args.pyllama_flags if side is PYLLAMA else args.llama_server_flags
            flags += ["-t", str(args.threads), *own]
            with serve(side, model, flags, is_tuned=args.tuned) as server:
                for name, rate in _run(side, server.port, args).items():
                    logger.info("  %s: %.1f tokens/s", name, rate)
                    rates.setdefault(side.name, {}).setdefault(name, []).append(rate)
    return {"workload": "streams beside busy cores", **context, "rates": rates}


def table(data: dict[str, Any]) -> str:
    """Return the record as text."""
    settings = data["settings"]
    medians = {
        side: {name: statistics.median(values) for name, values in by_name.items()}
        for side, by_name in data["rates"].items()
    }
    ours, theirs = medians["pyllama"], medians["llama-server"]
    title = (
        f"{place(data)}: {settings['streams']} streams, {settings['busy']} cores busy, "
        f"{settings['threads']} threads, medians of {settings['rounds']} rounds"
    )
    lines = [
        title,
        "",
        "| server | alone, tok/s | busy, tok/s | busy / alone |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {side} | {rates['alone']:.1f} | {rates['busy']:.1f} | "
        f"{rates['busy'] / rates['alone']:.3f} |"
        for side, rates in medians.items()
    ]
    ratios = [f"{ours[name] / theirs[name]:.2f}" for name in ("alone", "busy")]
    lines.append(f"| pyllama / llama-server | {ratios[0]} | {ratios[1]} | |")
    return "\n".join(lines)


def _run(side: Side, port: int, args: argparse.Namespace) -> dict[str, float]:
    asyncio.run(stream(port, text("warm-up", 16), 8))
    alone = _rate(port, args.streams, args.tokens)
    is_ours = side is PYLLAMA
    with _busy_cores(args.busy):
        n_tokens = args.tokens if is_ours else args.llama_server_busy_tokens
        return {"alone": alone, "busy": _rate(port, args.streams, n_tokens)}


def _rate(port: int, n_streams: int, n_tokens: int) -> float:
    """Return the tokens of all streams a second, from the first request to the last token."""

    async def drive() -> float:
        prompts = [text(f"stream {i}", 16) for i in range(n_streams)]
        done = await asyncio.gather(*(stream(port, prompt, n_tokens) for prompt in prompts))
        start_s = min(streamed.start_s for streamed in done)
        end_s = max(streamed.start_s + streamed.token_s[-1] for streamed in done)
        return sum(streamed.n_tokens for streamed in done) / (end_s - start_s)

    return asyncio.run(drive())


@contextlib.contextmanager
def _busy_cores(n_cores: int) -> Iterator[None]:
    """Keep cores busy within the block."""
    programs = [subprocess.Popen([sys.executable, "-c", _PROGRAM]) for _ in range(n_cores)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()
