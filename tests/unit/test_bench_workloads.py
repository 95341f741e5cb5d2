"""Every workload asks both servers for the same work, in the shape that it is named after."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from bench.client import Messages, Streamed
from bench.words import text
from bench.workloads import FULL, QUICK, WORKLOADS, Load, Phase


class FakeServer:
    """Answers at once; notes every request, and how many run at the same time."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, int]] = []
        self.schemas: list[Mapping[str, Any] | None] = []
        self.n_running = 0
        self.most_running = 0
        self.progress: list[int] = []

    async def send(
        self,
        prompt: str | Messages,
        n_tokens: int,
        *,
        schema: Mapping[str, Any] | None = None,
        on_chunk: Callable[[int], None] | None = None,
    ) -> Streamed:
        assert isinstance(prompt, str)
        self.requests.append((prompt, n_tokens))
        self.schemas.append(schema)
        self.n_running += 1
        self.most_running = max(self.most_running, self.n_running)
        for count in range(1, n_tokens + 1):
            self.progress.append(len(self.requests))
            if on_chunk:
                on_chunk(count)
            await asyncio.sleep(0)
        self.n_running -= 1
        return Streamed(0.0, tuple(map(float, range(1, n_tokens + 1))), " answer", n_tokens, 1, 0)


def drive(phase: Phase) -> tuple[FakeServer, dict[str, list[Streamed]]]:
    server = FakeServer()

    async def run() -> dict[str, list[Streamed]]:
        return dict(await phase.drive(server.send))

    return server, asyncio.run(run())


def only_phase(loads: list[Load]) -> Phase:
    ((phase,),) = (load.phases for load in loads)
    return phase


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    sleep = asyncio.sleep
    monkeypatch.setattr("bench.workloads.asyncio.sleep", lambda _: sleep(0))


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_asks_the_same_every_time(name: str) -> None:
    """Two runs of a workload send the same prompts and lengths, so two servers can be compared."""
    runs = [
        [
            sorted(drive(phase)[0].requests)
            for load in WORKLOADS[name](QUICK)
            for phase in load.phases
        ]
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert all(requests for requests in runs[0])


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("sizes", [QUICK, FULL])
def test_every_request_is_reported_and_fits(name: str, sizes: object) -> None:
    """No stream is dropped from the report, and two tokens a word would still fit into a slot."""
    for load in WORKLOADS[name](sizes):  # type: ignore[arg-type]
        for phase in load.phases:
            server, groups = drive(phase)
            assert sum(map(len, groups.values())) == len(server.requests)
            for prompt, n_tokens in server.requests:
                slot = load.n_ctx // load.n_slots
                assert len(prompt.split()) * 1.9 + n_tokens <= slot


def test_decode_runs_as_many_streams_as_it_says() -> None:
    """Each decode phase has c streams at once, on at least 8 and at least c slots."""
    seen = {}
    for load in WORKLOADS["decode"](FULL):
        for phase in load.phases:
            seen[phase.name] = (drive(phase)[0].most_running, load.n_slots)
    assert seen == {
        "decode, 1": (1, 8),
        "decode, 4": (4, 8),
        "decode, 8": (8, 8),
        "decode, 16": (16, 16),
        "decode, 32": (32, 32),
    }


def test_shared_prompts_share_their_system_prompt_only() -> None:
    """All clients of both phases begin with one text and end differently."""
    (load,) = WORKLOADS["shared"](QUICK)
    prompts = [prompt for phase in load.phases for prompt, _ in drive(phase)[0].requests]
    system = text("system", QUICK.prompt_words)
    assert all(prompt.startswith(system) for prompt in prompts)
    questions = {prompt.removeprefix(system).strip()[:20] for prompt in prompts}
    assert len(questions) == len(prompts) == 16


def test_distinct_prompts_share_nothing() -> None:
    """No two of the distinct prompts begin with the same five words."""
    server, _ = drive(only_phase(WORKLOADS["distinct"](QUICK)))
    assert len({tuple(prompt.split()[:5]) for prompt, _ in server.requests}) == 8


def test_a_chat_turn_repeats_what_was_said() -> None:
    """Every turn's prompt begins with the previous prompt and the answer to it."""
    server, _ = drive(only_phase(WORKLOADS["chat"](QUICK)))
    prompts = sorted(prompt for prompt, _ in server.requests)
    firsts = [prompt for prompt in prompts if " answer" not in prompt]
    assert len(firsts) == 4
    for first in firsts:
        turns = sorted((p for p in prompts if p.startswith(first)), key=len)
        assert len(turns) == QUICK.n_turns
        for before, after in itertools.pairwise(turns):
            assert after.startswith(before + " answer")


def test_half_of_the_slots_are_taken_by_turns() -> None:
    """Four requests run at any time until the first client is done, none of them alike."""
    (load,) = WORKLOADS["turnover"](QUICK)
    server, _ = drive(only_phase([load]))
    assert (load.n_slots, server.most_running) == (8, 4)
    assert len({prompt for prompt, _ in server.requests}) == 4 * QUICK.n_turnovers
    assert len({n_tokens for _, n_tokens in server.requests}) > 4


def test_the_long_prompt_arrives_while_all_streams_run() -> None:
    """The stall's prompt is sent after every stream has shown 16 chunks and before one ends."""
    server, groups = drive(only_phase(WORKLOADS["stall"](QUICK)))
    assert server.requests[-1][0] == text("stall", QUICK.stall_words)
    n_before = server.progress.index(5)
    assert 4 * 15 < n_before < 4 * QUICK.stall_tokens
    assert (len(groups["running"]), len(groups["arriving"])) == (4, 1)


def test_edits_are_the_same_with_drafts_and_without() -> None:
    """The two loads differ in their flags alone; the prompt begins the copy that it asks for."""
    plain, drafts = WORKLOADS["edit"](QUICK)
    assert plain.flags == ()
    assert drafts.flags[:2] == ("--spec-type", "ngram-map-k")
    (first,), (second,) = plain.phases, drafts.phases
    requests = drive(first)[0].requests
    assert requests == drive(second)[0].requests
    old, new = requests[0][0].split("\n\n")
    assert old.startswith(new.strip().replace('"title"', '"name"'))


def test_a_text_depends_on_its_seed_alone() -> None:
    """The same seed gives the same words, in any process; another seed gives others."""
    assert text("a", 3) == text("a", 300)[: len(text("a", 3)) - 1] + "."
    assert text("a", 50) != text("b", 50)
    assert len(text("a", 50).split()) == 50


def test_answers_to_a_schema_cannot_end_before_their_length() -> None:
    """Every request has the schema, whose shortest answer has more tokens than are asked for."""
    for load in WORKLOADS["schema"](FULL):
        for phase in load.phases:
            server = drive(phase)[0]
            for schema in server.schemas:
                assert schema is not None
                names = schema["items"]["required"]
                # A member is a name, a colon, a value and a comma: four tokens or more.
                assert schema["minItems"] * len(names) * 4 > FULL.n_tokens
            assert server.schemas
