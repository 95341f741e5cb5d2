"""The benchmark's load generator reads what either server sends, and trusts neither."""

from __future__ import annotations

import asyncio
import json

import pytest

from bench.client import Messages, RequestFailed, Streamed, stream

USAGE = {"choices": [], "usage": {"completion_tokens": 3, "prompt_tokens": 7}}


def event(**fields: object) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def token(text: str) -> bytes:
    return event(choices=[{"text": text}])


def ask(
    body: bytes,
    *,
    prompt: str | Messages = "once",
    pieces: int = 1,
    is_chunked: bool = True,
    status: str = "200 OK",
) -> tuple[Streamed, dict[str, object]]:
    """Serve one answer, cut into pieces anywhere; return what the client made of it and asked."""
    asked: dict[str, object] = {}
    is_answered = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        asked["path"] = head.split()[1].decode()
        asked.update(json.loads(await reader.readexactly(length)))
        encoding = "Transfer-Encoding: chunked\r\n" if is_chunked else ""
        writer.write(f"HTTP/1.1 {status}\r\n{encoding}\r\n".encode())
        size = -(-len(body) // pieces)
        for start in range(0, len(body), size):
            part = body[start : start + size]
            writer.write(b"%x\r\n%s\r\n" % (len(part), part) if is_chunked else part)
            await writer.drain()
            await asyncio.sleep(0.001)
        if is_chunked:
            writer.write(b"0\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        is_answered.set()

    async def exchange() -> Streamed:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            return await stream(port, prompt, 3)
        finally:
            server.close()
            await asyncio.wait_for(is_answered.wait(), 10)
            await server.wait_closed()

    return asyncio.run(exchange()), asked


@pytest.mark.parametrize("pieces", [1, 2, 13])
@pytest.mark.parametrize("is_chunked", [True, False])
def test_text_and_usage_are_read_however_the_bytes_are_cut(pieces: int, is_chunked: bool) -> None:  # noqa: FBT001
    """Events that are split over reads are put together again, in both transfer codings."""
    body = b": ping\n\n" + token("a") + token("") + token("é") + event(**USAGE) + b"data: [DONE]\n"
    streamed, _ = ask(body, pieces=pieces, is_chunked=is_chunked)
    assert (streamed.text, len(streamed.token_s)) == ("aé", 2)
    assert (streamed.n_tokens, streamed.n_prompt, streamed.n_cached) == (3, 7, 0)
    assert 0 < streamed.ttft_s <= streamed.token_s[1]


def test_the_work_is_fixed_by_the_request() -> None:
    """Greedy, with no early end: what one server does is what the other does."""
    _, asked = ask(token("a") + event(**USAGE))
    assert (asked["temperature"], asked["ignore_eos"], asked["max_tokens"]) == (0, True, 3)


def test_a_text_is_continued_and_a_chat_is_answered() -> None:
    """Each goes where a client of OpenAI's would send it; the answer's text is read from either."""
    _, asked = ask(token("a") + event(**USAGE))
    assert (asked["path"], asked["prompt"]) == ("/v1/completions", "once")
    chat = [{"role": "user", "content": "Hello"}]
    streamed, asked = ask(
        event(choices=[{"delta": {"content": "b"}}]) + event(**USAGE), prompt=chat
    )
    assert (asked["path"], asked["messages"]) == ("/v1/chat/completions", chat)
    assert streamed.text == "b"


def test_cached_prompt_tokens_are_counted() -> None:
    """The server's own count of reused prompt tokens reaches the record."""
    details = {"prompt_tokens_details": {"cached_tokens": 5}}
    usage = {"completion_tokens": 3, "prompt_tokens": 7, **details}
    streamed, _ = ask(token("a") + event(choices=[], usage=usage))
    assert streamed.n_cached == 5


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"no room", "429 Too Many Requests", "429 Too Many Requests: no room"),
        (token("a") + event(error={"message": "lost"}), "200 OK", "lost"),
        (token("a"), "200 OK", "asked for 3 tokens, got 0"),
        (event(**USAGE), "200 OK", "0 chunks with text"),
    ],
)
def test_an_answer_that_is_not_the_work_is_an_error(body: bytes, status: str, message: str) -> None:
    """A refusal, a broken stream and a missing token end the run instead of making it faster."""
    with pytest.raises(RequestFailed, match=message):
        ask(body, status=status)


def test_a_server_that_is_not_there_is_an_error() -> None:
    """A refused connection is reported as a failed request."""
    with pytest.raises(RequestFailed, match="broke a stream off"):
        asyncio.run(stream(1, "once", 3))
