"""What the clients of a comparison do: the same requests to both servers, greedy, fixed length.

A workload is one or more loads. A load is a server configuration and the phases that run against
one fresh server, one after the other. A phase drives requests and returns their streams, grouped
by the row of the report that they belong to.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bench.client import Messages, Streamed
from bench.words import text

Groups = Mapping[str, list[Streamed]]
"""Streams by the name of their row; ``""`` for the row of the phase itself."""


class Send(Protocol):
    """Sends one request to the server that is measured."""

    def __call__(
        self,
        prompt: str | Messages,
        n_tokens: int,
        *,
        schema: Mapping[str, Any] | None = None,
        on_chunk: Callable[[int], None] | None = None,
    ) -> Awaitable[Streamed]:
        """Stream ``n_tokens`` tokens that continue a text or answer a chat.

        With a JSON schema the answer has its form.
        """


@dataclass(frozen=True, slots=True)
class Phase:
    """Requests that are measured together."""

    name: str
    drive: Callable[[Send], Awaitable[Groups]]


@dataclass(frozen=True, slots=True)
class Load:
    """Phases against one fresh server."""

    n_slots: int
    n_ctx: int
    """KV cells in all."""
    phases: tuple[Phase, ...]
    flags: tuple[str, ...] = ()
    """More flags of both servers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much work the workloads are."""

    prompt_words: int = 1000
    stall_words: int = 2000
    prefill_words: int = 2000
    n_tokens: int = 128
    """Tokens of an answer where decoding is what is measured."""
    answer_tokens: int = 64
    """Tokens of an answer where the prompt is what is measured."""
    stall_tokens: int = 256
    n_turns: int = 6
    n_turnovers: int = 12
    n_arrivals: int = 40
    edit_words: int = 400
    edit_tokens: int = 256
    decode_clients: tuple[int, ...] = (1, 4, 8, 16, 32)
    shared_clients: tuple[int, ...] = (8, 32)


FULL = Sizes()
QUICK = Sizes(
    prompt_words=300,
    stall_words=600,
    prefill_words=500,
    n_tokens=32,
    answer_tokens=16,
    stall_tokens=64,
    n_turns=3,
    n_turnovers=4,
    n_arrivals=10,
    edit_words=200,
    edit_tokens=128,
    decode_clients=(1, 8),
    shared_clients=(8,),
)

_STALL_AFTER = 16  # chunks that every running stream has delivered when the long prompt arrives
_ARRIVALS_PER_S = 0.6
# More items than any answer here has tokens: none ends before its length.
_PEOPLE = {
    "type": "array",
    "minItems": 24,
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 24},
            "age": {"type": "integer"},
            "is_member": {"type": "boolean"},
            "color": {"enum": ["red", "green", "blue"]},
        },
        "required": ["name", "age", "is_member", "color"],
    },
}
# Short n-grams: a record differs from the one that it copies in every few tokens.
_LOOKUP = (
    *("--spec-type", "ngram-map-k"),
    *("--spec-ngram-map-k-size-n", "4"),
    *("--spec-ngram-map-k-size-m", "16"),
)


def decode(sizes: Sizes) -> list[Load]:
    """Short distinct prompts, c at once: the pace of generation."""
    clients: dict[int, list[int]] = {}
    for n in sizes.decode_clients:
        clients.setdefault(max(8, n), []).append(n)
    return [
        _load(slots, *(_at_once(f"decode, {n}", f"d{n}", n, 16, sizes.n_tokens) for n in counts))
        for slots, counts in clients.items()
    ]


def prefill(sizes: Sizes) -> list[Load]:
    """Long distinct prompts one after the other, one token each: the pace of reading."""

    async def drive(send: Send) -> Groups:
        prompts = [text(f"prefill {i}", sizes.prefill_words) for i in range(4)]
        return {"": [await send(prompt, 1) for prompt in prompts]}

    return [_load(8, Phase("prefill", drive))]


def distinct(sizes: Sizes) -> list[Load]:
    """Eight long distinct prompts at once."""
    phase = _at_once("distinct", "distinct", 8, sizes.prompt_words, sizes.answer_tokens)
    return [_load(8, phase)]


def shared(sizes: Sizes) -> list[Load]:
    """One long system prompt and a short question each, all at once; then again with others."""

    def phase(n_clients: int, state: str) -> Phase:
        system = text("system", sizes.prompt_words)
        prompts = [f"{system}\n\n{text(f'{state} {i}', 16)}\n\n" for i in range(n_clients)]

        async def drive(send: Send) -> Groups:
            return {"": await _gather(send, prompts, sizes.answer_tokens)}

        return Phase(f"shared, {n_clients} {state}", drive)

    return [_load(max(8, n), phase(n, "cold"), phase(n, "warm")) for n in sizes.shared_clients]


def chat(sizes: Sizes) -> list[Load]:
    """Four clients in conversations: every turn sends all that was said before."""

    async def talk(send: Send, client: int) -> list[Streamed]:
        said = text(f"chat {client}", 100)
        turns = []
        for turn in range(sizes.n_turns):
            said += f"\n\n{text(f'question {client} {turn}', 40)}\n\n"
            turns.append(await send(said, sizes.answer_tokens))
            said += turns[-1].text
        return turns

    async def drive(send: Send) -> Groups:
        clients = await asyncio.gather(*(talk(send, client) for client in range(4)))
        return {"": [turn for turns in clients for turn in turns]}

    return [_load(8, Phase("chat", drive))]


def turnover(sizes: Sizes) -> list[Load]:
    """Four clients with a new short prompt as soon as they have an answer: half of the slots."""
    source = random.Random("turnover")  # noqa: S311  (repeatable is what is wanted)
    lengths = [[source.randint(16, 96) for _ in range(sizes.n_turnovers)] for _ in range(4)]

    async def ask(send: Send, client: int) -> list[Streamed]:
        return [
            await send(text(f"turnover {client} {i}", 16), n_tokens)
            for i, n_tokens in enumerate(lengths[client])
        ]

    async def drive(send: Send) -> Groups:
        clients = await asyncio.gather(*(ask(send, client) for client in range(4)))
        return {"": [answer for answers in clients for answer in answers]}

    return [_load(8, Phase("turnover", drive))]


def stall(sizes: Sizes) -> list[Load]:
    """Four streams run when one long prompt arrives: who waits for whom."""

    async def drive(send: Send) -> Groups:
        counts = [0] * 4
        is_running = asyncio.Event()

        def watch(stream: int) -> Callable[[int], None]:
            def on_chunk(count: int) -> None:
                counts[stream] = count
                if min(counts) >= _STALL_AFTER:
                    is_running.set()

            return on_chunk

        async def arrive() -> Streamed:
            await is_running.wait()
            return await send(text("stall", sizes.stall_words), 1)

        running = [
            send(text(f"running {i}", 16), sizes.stall_tokens, on_chunk=watch(i)) for i in range(4)
        ]
        *streams, arrived = await asyncio.gather(*running, arrive())
        return {"running": streams, "arriving": [arrived]}

    return [_load(8, Phase("stall", drive))]


def churn(sizes: Sizes) -> list[Load]:
    """Requests of mixed lengths arrive at random, whatever has become of those before."""
    source = random.Random("churn")  # noqa: S311  (repeatable is what is wanted)
    plan = []
    at_s = 0.0
    for i in range(sizes.n_arrivals):
        at_s += source.expovariate(_ARRIVALS_PER_S)
        n_words = min(source.choice([20, 100, 400, 1000]), sizes.prompt_words)
        n_tokens = min(source.choice([16, 32, 64, 128]), sizes.n_tokens)
        plan.append((at_s, text(f"churn {i}", n_words), n_tokens))

    async def arrive(send: Send, at_s: float, prompt: str, n_tokens: int) -> Streamed:
        await asyncio.sleep(at_s)
        return await send(prompt, n_tokens)

    async def drive(send: Send) -> Groups:
        return {"": list(await asyncio.gather(*(arrive(send, *request) for request in plan)))}

    return [_load(8, Phase("churn", drive))]


def edit(sizes: Sizes) -> list[Load]:
    """Records to be written once more with another key, one client: plain, then with drafts.

    The beginning of the copy is given, so that a small model goes on with it.
    """

    def prompt(number: int) -> str:
        sentences = text(f"edit {number}", sizes.edit_words).split(". ")
        old = [f'{{"id": {i}, "name": "{words.lower()}"}}' for i, words in enumerate(sentences)]
        new = [line.replace('"name"', '"title"') for line in old[:3]]
        return "\n".join([*old, "", *new, ""])

    def load(state: str, *flags: str) -> Load:
        async def drive(send: Send) -> Groups:
            prompts = [prompt(number) for number in range(4)]
            return {"": [await send(prompt, sizes.edit_tokens) for prompt in prompts]}

        return Load(1, 4096, (Phase(f"edit, {state}", drive),), flags)

    return [load("plain"), load("drafts", *_LOOKUP)]


def schema(sizes: Sizes) -> list[Load]:
    """Short prompts, answers in the form of a JSON schema: what a grammar costs a token."""

    def phase(n_clients: int) -> Phase:
        prompts = [f"{text(f'schema {i}', 16)}\n\nThe people:\n" for i in range(n_clients)]

        async def drive(send: Send) -> Groups:
            work = (send(prompt, sizes.n_tokens, schema=_PEOPLE) for prompt in prompts)
            return {"": list(await asyncio.gather(*work))}

        return Phase(f"schema, {n_clients}", drive)

    return [_load(8, phase(1), phase(8))]


WORKLOADS: dict[str, Callable[[Sizes], list[Load]]] = {
    workload.__name__: workload
    for workload in (decode, prefill, distinct, shared, chat, turnover, stall, churn, edit, schema)
}


def _load(n_slots: int, *phases: Phase) -> Load:
    return Load(n_slots, 32768 if n_slots <= 8 else 65536, phases)


def _at_once(name: str, seed: str, n_clients: int, n_words: int, n_tokens: int) -> Phase:
    prompts = [text(f"{seed} {i}", n_words) for i in range(n_clients)]

    async def drive(send: Send) -> Groups:
        return {"": await _gather(send, prompts, n_tokens)}

    return Phase(name, drive)


async def _gather(send: Send, prompts: list[str], n_tokens: int) -> list[Streamed]:
    return list(await asyncio.gather(*(send(prompt, n_tokens) for prompt in prompts)))
