"""The real model under clients that hold connections without using them."""

from __future__ import annotations

import json
import statistics
import threading
from typing import TYPE_CHECKING

import httpx
import pytest

from bench.attackers import besieged
from bench.siege import chat_s, health_s

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.serving import Server


@pytest.fixture(scope="module")
def served_path(short_model_path: Path) -> Path:
    """The server's model, whose words do not matter."""
    return short_model_path


@pytest.mark.parametrize("kind", ["half heads", "half bodies", "silent", "keep-alive"])
def test_chat_is_answered_beside(server: Server, kind: str) -> None:
    """More such clients than the server has threads hold up neither a chat nor /health."""
    with besieged(server.port, kind):
        health = statistics.median(health_s(server.port, 10) for _ in range(10))
        assert chat_s(server.port, 60) is not None
    assert health < 1.0


def test_streams_end_whole_beside_half_requests(server: Server) -> None:
    """Eight streams that run while half requests come bring every token that was asked for."""
    counts: list[int] = []

    def read() -> None:
        body = {"prompt": "Once", "max_tokens": 40, "ignore_eos": True, "stream": True}
        url = f"{server.url}/v1/completions"
        with httpx.stream("POST", url, json=body, timeout=120) as answer:
            events = [line[6:] for line in answer.iter_lines() if line.startswith("data: {")]
        counts.append(json.loads(events[-1])["timings"]["predicted_n"])

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    with besieged(server.port, "half heads"), besieged(server.port, "dripped bodies"):
        for thread in threads:
            thread.join(120)
    assert counts == 8 * [40]
