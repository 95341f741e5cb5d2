"""Streams about pictures and streams of text at the same time: who waits for whom.

Each has a picture of its own, so that nothing is encoded once for two. Before that one of either
kind runs alone: what its own work takes.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import logging
import re
from typing import Any

from bench import compare, pictures, report
from bench.client import Messages, Streamed
from bench.media_models import MediaModel
from bench.server import PYLLAMA, llama_server, serve
from bench.words import text
from bench.workloads import Groups, Load, Phase, Send

logger = logging.getLogger(__name__)

_N_EACH = 8
# Pixels; one tile of the large encoder's.
_SIZE = (224, 168)
_N_WORDS = 60


def measure(files: MediaModel, args: argparse.Namespace) -> dict[str, Any]:
    """Run the load on both servers in every round; return the samples."""
    sides, rows = [PYLLAMA, llama_server()], compare.Rows()
    encode_s = []
    load = mixed(files, args.tokens)
    for round_ in range(args.rounds):
        for side in compare.in_turn(sides, round_):
            logger.info("round %d of %d, %s", round_ + 1, args.rounds, side.name)
            flags = compare.flags(side, load, args)
            with serve(side, files.model, flags, is_tuned=args.tuned) as server:
                compare.run_load(load, server, rows, side)
                if side is PYLLAMA:
                    encode_s.append(mean_encode_s(_metrics(server.port)))
    compare.check_same_work(rows)
    return {"rows": rows, "encode_s": encode_s}


def table(data: dict[str, Any]) -> str:
    """Return this part of the record as text."""
    part, settings = data["mixed"], data["settings"]
    encode_ms = ", ".join(f"{1e3 * encode_s:.1f}" for encode_s in part["encode_s"])
    return (
        f"{report.table({**data, 'rows': part['rows']})}\n\n"
        f"Encoder {settings['projector']}; pyllama encoded a tile in {encode_ms} ms on average, "
        "round by round."
    )


def mixed(files: MediaModel, n_tokens: int) -> Load:
    """Return one request of either kind alone, one after the other; then eight of each at once."""

    async def alone(send: Send) -> Groups:
        return {
            "picture": [await send(_shown(_N_EACH), n_tokens)],
            "text": [await send(_told(_N_EACH), n_tokens)],
        }

    async def together(send: Send) -> Groups:
        # In turns, so that neither kind is there first.
        chats = [chat(number) for number in range(_N_EACH) for chat in (_shown, _told)]
        streams: list[Streamed] = await asyncio.gather(*(send(chat, n_tokens) for chat in chats))
        return {"pictures": streams[::2], "text": streams[1::2]}

    flags = ("--mmproj", str(files.projector), "--metrics")
    phases = (Phase("alone", alone), Phase(f"{2 * _N_EACH} at once", together))
    return Load(2 * _N_EACH, 32768, phases, flags)


def mean_encode_s(metrics: str) -> float:
    """Return what encoding a piece took on average, by the text of pyllama's ``/metrics``."""
    seconds, count = (
        float(re.findall(rf"^pyllama:{name}_total (\S+)$", metrics, re.MULTILINE)[0])
        for name in ("media_seconds", "media_encoded")
    )
    return seconds / count


def _shown(number: int) -> Messages:
    question = pictures.words("What is on the picture?")
    return pictures.said(pictures.picture(number, *_SIZE), question)


def _told(number: int) -> Messages:
    return pictures.said(pictures.words(text(f"mixed {number}", _N_WORDS)))


def _metrics(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    finally:
        connection.close()
