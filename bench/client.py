"""One streaming request over a plain socket connection, with the time of every token."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Streamed:
    """What one stream delivered, seconds from the moment the request was sent."""

    token_s: tuple[float, ...]
    """Arrival of each chunk that carried text."""
    n_tokens: int
    """Generated tokens, as the server counted them."""

    @property
    def tokens_per_second(self) -> float:
        """Decode rate: tokens after the first over the time after the first."""
        return (self.n_tokens - 1) / (self.token_s[-1] - self.token_s[0])


def complete(port: int, prompt: str, max_tokens: int) -> Streamed:
    """Stream a greedy completion of exactly ``max_tokens`` tokens."""
    body = {
        "prompt": prompt,
        "max_tokens": max_tokens,
        "temperature": 0,
        "ignore_eos": True,
        "cache_prompt": False,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    start_s = time.perf_counter()
    connection.request("POST", "/v1/completions", json.dumps(body))
    response = connection.getresponse()
    if response.status != http.HTTPStatus.OK:
        raise SystemExit(f"status {response.status}: {response.read()!r}")
    times: list[float] = []
    n_tokens = 0
    for line in response:
        if not line.startswith(b"data: {"):
            continue
        chunk = json.loads(line[6:])
        if chunk["choices"] and chunk["choices"][0]["text"]:
            times.append(time.perf_counter() - start_s)
        if chunk.get("usage"):
            n_tokens = chunk["usage"]["completion_tokens"]
    connection.close()
    return Streamed(tuple(times), n_tokens)
