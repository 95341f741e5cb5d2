"""One streaming request at a time over a plain asyncio connection, with the time of every chunk.

The load generator shares the machine with the server that it measures, so it does little: no HTTP
library, one connection a request, one JSON parse a chunk.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_START = "POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
_TIMEOUT_S = 900.0

Messages = Sequence[Mapping[str, Any]]
"""A chat, as OpenAI has it."""


class RequestFailed(Exception):
    """A server refused a request, broke its stream off, or answered with something else."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """What one stream delivered."""

    start_s: float
    """When the request was sent, on this process's performance counter."""
    token_s: tuple[float, ...]
    """Arrival of each chunk that carried text, seconds after ``start_s``."""
    text: str
    n_tokens: int
    """Generated tokens, as the server counted them."""
    n_prompt: int
    """Prompt tokens, as the server counted them; those from its cache included."""
    n_cached: int
    """Prompt tokens that came from the server's cache."""

    @property
    def ttft_s(self) -> float:
        """Time to the first text."""
        return self.token_s[0]

    @property
    def gaps_s(self) -> list[float]:
        """Times between chunks."""
        return [b - a for a, b in zip(self.token_s, self.token_s[1:], strict=False)]

    @property
    def tokens_per_second(self) -> float:
        """Decode rate: tokens after the first over the time after the first."""
        return (self.n_tokens - 1) / (self.token_s[-1] - self.token_s[0])


async def stream(
    port: int,
    prompt: str | Messages,
    n_tokens: int,
    *,
    cache_prompt: bool = True,
    schema: Mapping[str, Any] | None = None,
    on_chunk: Callable[[int], None] | None = None,
) -> Streamed:
    """Stream a greedy completion of exactly ``n_tokens`` tokens.

    Args:
        port: where the server listens on the loopback.
        prompt: text to continue, or a chat to answer.
        n_tokens: tokens to generate; an end-of-text token does not end it earlier.
        cache_prompt: whether the server may use what it remembers of earlier prompts.
        schema: a JSON schema that holds the answer to a form, which must not end earlier.
        on_chunk: called after each chunk with text, with the number of such chunks so far.

    Raises:
        RequestFailed: the server did not deliver what was asked for.
    """
    body = {**_options(n_tokens), "cache_prompt": cache_prompt}
    if isinstance(prompt, str):
        path, body["prompt"] = "/v1/completions", prompt
    else:
        path, body["messages"] = "/v1/chat/completions", prompt
    if schema is not None:
        # Behind the end of the form an end of text is all that may come.
        body |= {"json_schema": schema, "ignore_eos": False}
    return await _stream(port, path, body, on_chunk or (lambda _: None))


def complete(port: int, prompt: str, n_tokens: int) -> Streamed:
    """Stream one completion from outside an event loop, without the prompt cache."""
    return asyncio.run(stream(port, prompt, n_tokens, cache_prompt=False))


def chat(port: int, question: str, n_tokens: int, tools: Sequence[Mapping[str, Any]]) -> Streamed:
    """Stream the answer to one question from outside an event loop; raises as :func:`stream`."""
    body = {"messages": [{"role": "user", "content": question}], **_options(n_tokens)}
    if tools:
        body["tools"] = tools
    return asyncio.run(_stream(port, "/v1/chat/completions", body, lambda _: None))


def _options(n_tokens: int) -> dict[str, Any]:
    return {
        "max_tokens": n_tokens,
        "temperature": 0,
        "ignore_eos": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def _stream(
    port: int, path: str, body: Mapping[str, Any], on_chunk: Callable[[int], None]
) -> Streamed:
    n_tokens = body["max_tokens"]
    work = _exchange(port, path, json.dumps(body).encode(), on_chunk)
    try:
        streamed = await asyncio.wait_for(work, _TIMEOUT_S)
    except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
        raise RequestFailed(f"the server broke a stream off: {error!r}") from error
    if streamed.n_tokens != n_tokens or not streamed.token_s:
        raise RequestFailed(
            f"asked for {n_tokens} tokens, got {streamed.n_tokens} in {len(streamed.token_s)} "
            "chunks with text"
        )
    return streamed


async def _exchange(port: int, path: str, body: bytes, on_chunk: Callable[[int], None]) -> Streamed:
    start_s = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = f"{_START.format(path)}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        pieces: list[str] = []
        times: list[float] = []
        usage: dict[str, Any] = {}
        async for event in _events(reader):
            if text := _text(event):
                times.append(time.perf_counter() - start_s)
                pieces.append(text)
                on_chunk(len(times))
            usage = event.get("usage") or usage
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return Streamed(
        start_s=start_s,
        token_s=tuple(times),
        text="".join(pieces),
        n_tokens=usage.get("completion_tokens", 0),
        n_prompt=usage.get("prompt_tokens", 0),
        n_cached=(usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0),
    )


def _text(event: dict[str, Any]) -> str:
    if "error" in event:
        raise RequestFailed(f"the stream ended in an error: {event['error']}")
    choices = event.get("choices") or [{}]
    choice = choices[0]
    text: str = choice.get("text") or (choice.get("delta") or {}).get("content") or ""
    return text


async def _events(reader: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """Yield the objects of an SSE answer; comments and ``[DONE]`` are passed over."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    is_chunked = "transfer-encoding: chunked" in head.lower()
    parts = _chunks(reader) if is_chunked else _reads(reader)
    status = head.split("\r\n", 1)[0]
    if " 200 " not in f"{status} ":
        answer = b"".join([part async for part in parts])
        raise RequestFailed(f"{status}: {answer[:500].decode('utf-8', 'replace')}")
    rest = b""
    async for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            if line.startswith(b"data: {"):
                yield json.loads(line[6:])


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while n_bytes := int((await reader.readline()).partition(b";")[0] or b"0", 16):
        yield (await reader.readexactly(n_bytes + 2))[:-2]


async def _reads(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while part := await reader.read(1 << 16):
        yield part
