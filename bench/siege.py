"""What ``/health`` and a chat take while clients hold connections that they do not use.

Half-sent heads and bodies, silent and idle connections, bytes that drip, answers that nobody reads,
connections that break: each kind for a while, clients that are turned away come again.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import statistics
import threading
import time
from typing import TYPE_CHECKING, Any

from bench import models, record, server
from bench.attackers import KINDS, besieged

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_MIXTURE = "60 streams, 50 half heads"
_CALM = "nobody"
_TIMEOUT_S = 60.0
_PAUSE_S = 0.05
_CHAT = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this measurement's options."""
    models.add_argument(parser, default="q4_0")
    parser.add_argument("--threads", type=int, default=2, help="-t of the server (default: 2)")
    parser.add_argument("--seconds", type=float, default=30.0, help="for each kind (default: 30)")
    parser.add_argument(
        "--llama-server", action="store_true", help="the same on llama.cpp's server"
    )


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Besiege the server with one kind after the other; return the record."""
    model = models.resolve(args.model)
    sides = [server.PYLLAMA, *([server.llama_server()] if args.llama_server else [])]
    rows: list[dict[str, Any]] = []
    for side in sides:
        for kind in (_CALM, *KINDS, _MIXTURE):
            with server.serve(side, model, ["-t", str(args.threads), "-np", "4"]) as running:
                times = under_siege(running.port, kind, args.seconds)
            rows.append({"server": side.name, "kind": kind, **times})
    return {
        "workload": "health and a chat under siege",
        **record.context(model, threads=args.threads, seconds=args.seconds),
        "rows": rows,
    }


def table(data: dict[str, Any]) -> str:
    """Return the record as text."""
    head = f"{data['model']}, commit {data['commit']}, {data['machine']['cpu']}: "
    lines = [
        head + f"{data['settings']['seconds']:g} s for each kind",
        "",
        "| server | clients | health p50, ms | p95 | longest | failed | chat, s |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in data["rows"]:
        middle, late, longest = (1e3 * value for value in summary(row["health_s"]))
        chat = "none" if row["chat_s"] is None else f"{row['chat_s']:.2f}"
        lines.append(
            f"| {row['server']} | {row['kind']} | {middle:.1f} | {late:.1f} | {longest:.1f} | "
            f"{row['n_failed']} | {chat} |"
        )
    return "\n".join(lines)


def summary(times: list[float]) -> tuple[float, float, float]:
    """Return the median, the 95th percentile and the longest of some times."""
    if not times:
        return (math.nan, math.nan, math.nan)
    ordered = sorted(times)
    return statistics.median(ordered), ordered[int(0.95 * (len(ordered) - 1))], ordered[-1]


def under_siege(port: int, kind: str, seconds: float) -> dict[str, Any]:
    """Return the times of ``/health`` while clients of a kind are there, and that of a chat."""
    with _clients(port, kind):
        chats: list[float | None] = []
        asking = threading.Thread(target=lambda: chats.append(chat_s(port)), daemon=True)
        asking.start()
        health: list[float] = []
        n_failed = 0
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            try:
                health.append(health_s(port))
            except (OSError, http.client.HTTPException):
                n_failed += 1
            time.sleep(_PAUSE_S)
        asking.join(_TIMEOUT_S)
    return {"health_s": health, "n_failed": n_failed, "chat_s": chats[0] if chats else None}


def health_s(port: int, timeout_s: float = _TIMEOUT_S) -> float:
    """Return what an answer of ``/health`` takes, its connection included."""
    start_s = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    with contextlib.closing(connection):
        connection.request("GET", "/health")
        if connection.getresponse().status != 200:
            raise http.client.HTTPException("the server is not well")
    return time.monotonic() - start_s


def chat_s(port: int, timeout_s: float = _TIMEOUT_S) -> float | None:
    """Return what a short chat takes, sent again where it was refused; None without an answer."""
    start_s = time.monotonic()
    while time.monotonic() - start_s < timeout_s:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        with contextlib.closing(connection), contextlib.suppress(OSError):
            connection.request("POST", "/v1/chat/completions", json.dumps(_CHAT))
            response = connection.getresponse()
            response.read()
            if response.status == 200:
                return time.monotonic() - start_s
        time.sleep(_PAUSE_S)
    return None


@contextlib.contextmanager
def _clients(port: int, kind: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        if kind == _MIXTURE:
            stack.enter_context(besieged(port, "slow readers", 60))
            stack.enter_context(besieged(port, "half heads", 50))
        elif kind != _CALM:
            stack.enter_context(besieged(port, kind))
        yield
