"""The library with the real model: answers, batching, caches, limits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyllama import Llama
from pyllama.errors import ContextOverflow, InvalidRequest, QueueFull, UnknownOption
from pyllama.generation import Generation
from pyllama.results import Completion
from pyllama.sched import Sequence
from pyllama.sched.lifecycle import Lifecycle

pytestmark = pytest.mark.model

LONG_S = 60.0


def counting(first: int) -> str:
    """Return a prompt that even a small model continues by counting on."""
    return ", ".join(str(number) for number in range(first, first + 12)) + ","


def expected(first: int, n_numbers: int = 5) -> str:
    return ", ".join(str(number) for number in range(first + 12, first + 12 + n_numbers))


def ask_all(llm: Llama, firsts: list[int], max_tokens: int) -> list[Completion]:
    """Ask for every count at once."""
    with ThreadPoolExecutor(len(firsts)) as pool:
        return list(
            pool.map(
                lambda first: llm.generate(counting(first), max_tokens=max_tokens, ignore_eos=True),
                firsts,
            )
        )


def until(is_true: Callable[[], bool], timeout_s: float = LONG_S) -> float:
    """Wait for something; return how long it took, seconds."""
    start_s = time.monotonic()
    while not is_true():
        assert time.monotonic() - start_s < timeout_s
        time.sleep(0.002)
    return time.monotonic() - start_s


@pytest.fixture(scope="module")
def llm(model_path: Path) -> Iterator[Llama]:
    with Llama(str(model_path), ctx_size=16384, parallel=4, threads=2) as llm:
        yield llm


@pytest.fixture(autouse=True)
def _idle_and_whole(llm: Llama) -> Iterator[None]:
    """After each test nothing runs, and ledger and memory agree."""
    yield
    until(lambda: (llm.status().n_busy, llm.status().n_waiting) == (0, 0))
    llm.check_integrity()


def test_many_streams_are_answered_as_one_is(llm: Llama) -> None:
    """Eight clients at once, on four slots, each get the answer that they get alone."""
    firsts = [1, 21, 41, 61, 101, 201, 301, 401]
    together = [completion.text for completion in ask_all(llm, firsts, 20)]
    for first, text in zip(firsts, together, strict=True):
        assert text.strip().startswith(expected(first, 4))
    alone = [
        llm.generate(counting(first), max_tokens=20, cache_prompt=False).text for first in firsts
    ]
    assert [text[:12] for text in together] == [text[:12] for text in alone]


def test_a_warm_prompt_gets_the_cold_answer(llm: Llama) -> None:
    """The same n tokens again report n - 1 cached ones, and the same text."""
    prompt = llm.text_prompt("The capital of France is a city that everybody knows. " * 5).tokens
    cold = llm.generate(prompt, max_tokens=12, cache_prompt=False)
    warm = llm.generate(prompt, max_tokens=12)
    assert cold.usage.cached_tokens == 0
    assert warm.usage.cached_tokens == len(prompt) - 1
    assert warm.timings.prompt_n == 1
    assert warm.text == cold.text


def test_a_conversation_goes_on_from_its_cache(llm: Llama) -> None:
    """A second turn computes only what is new in it."""
    messages: list[dict[str, str]] = [{"role": "user", "content": "Tell me about llamas."}]
    first = llm.chat(messages, max_tokens=20)
    messages += [{"role": "assistant", "content": first.text}, {"role": "user", "content": "More?"}]
    second = llm.chat(messages, max_tokens=4)
    assert second.usage.cached_tokens >= first.usage.prompt_tokens


def test_a_system_prompt_counts(llm: Llama) -> None:
    """Another system prompt makes another prompt, and is charged."""
    user = {"role": "user", "content": "Who are you?"}
    plain = llm.chat([user], max_tokens=16)
    system = {"role": "system", "content": "You are Captain Bluebeard, a pirate. Say Arrr!"}
    pirate = llm.chat([system, user], max_tokens=16)
    assert pirate.usage.prompt_tokens != plain.usage.prompt_tokens


def test_a_stream_is_the_answer_in_parts(llm: Llama) -> None:
    """Deltas join to the text of the blocking call, and the last one alone has a reason."""
    whole = llm.generate(counting(1), max_tokens=20)
    deltas = list(llm.generate(counting(1), max_tokens=20, stream=True))
    assert "".join(delta.text for delta in deltas) == whole.text
    assert [delta.finish_reason for delta in deltas[:-1]] == [None] * (len(deltas) - 1)
    assert deltas[-1].finish_reason == whole.finish_reason == "length"
    assert deltas[-1].n_tokens == whole.usage.completion_tokens == 20


def test_a_stop_string_cuts_the_text(llm: Llama) -> None:
    """The text ends before the stop string, and the slot is free at once."""
    completion = llm.generate(counting(1), max_tokens=400, stop=[" 17"])
    assert completion.text == " 13, 14, 15, 16,"
    assert completion.finish_reason == "stop"


def test_a_chat_ends_by_itself(llm: Llama) -> None:
    """An end-of-generation token ends an answer and is no part of its text."""
    # After these words nothing else is left to say, whatever the model would like to.
    messages = [{"role": "user", "content": "Say hi."}]
    completion = llm.chat(messages, max_tokens=300, grammar='root ::= "Hi there."')
    assert completion.finish_reason == "stop"
    assert completion.text == "Hi there."
    assert completion.usage.completion_tokens < 20


@pytest.mark.parametrize("max_tokens", [1, 2, 7])
def test_max_tokens_is_exact(llm: Llama, max_tokens: int) -> None:
    """An answer has as many tokens as were asked for, one included."""
    completion = llm.generate(counting(1), max_tokens=max_tokens)
    assert completion.usage.completion_tokens == max_tokens
    assert completion.timings.predicted_n == max_tokens


def test_a_prompt_that_is_too_long_is_refused(llm: Llama) -> None:
    """A prompt without room for one token is ContextOverflow with both numbers."""
    prompt = [1] * llm.n_ctx
    with pytest.raises(ContextOverflow) as caught:
        llm.generate(prompt)
    assert (caught.value.n_prompt_tokens, caught.value.n_ctx) == (llm.n_ctx, llm.n_ctx)
    with pytest.raises(InvalidRequest):
        llm.generate("Hi", max_tokens=0)


@pytest.mark.parametrize(
    "text",
    [
        "🦙🦙🦙🦙🦙🦙🦙🦙🦙🦙🦙🦙",
        "你好，世界。你好，世界。你好，世界。你好，",
        "é è é è é è é è é è",
    ],
)
def test_characters_come_whole(llm: Llama, text: str) -> None:
    """No delta holds half a character, whatever the tokens cut; input comes back unharmed."""
    assert llm.detokenize(llm.tokenize(text)) == text
    parts = [delta.text for delta in llm.generate(text, max_tokens=24, stream=True)]
    assert "\ufffd" not in "".join(parts)
    assert any(ord(char) > 127 for char in "".join(parts))


def test_a_seed_repeats_itself(llm: Llama) -> None:
    """One seed, one text; other seeds, other texts."""

    def sample(seed: int) -> str:
        prompt = "Once upon a time there was"
        return llm.generate(prompt, max_tokens=16, temperature=1.5, seed=seed).text

    assert sample(7) == sample(7)
    assert len({sample(seed) for seed in (1, 2, 3)}) > 1


def test_greedy_penalties_are_honoured(llm: Llama) -> None:
    """A penalty moves a greedy answer: it is more than the most likely token."""
    plain = llm.generate("ha ha ha ha ha ha", max_tokens=12)
    punished = llm.generate("ha ha ha ha ha ha", max_tokens=12, repeat_penalty=1.8)
    assert plain.text != punished.text


def filler(llm: Llama, n_tokens: int, seed: int) -> list[int]:
    """Return a prompt of so many tokens that no cache holds."""
    return [1000 + (seed * 7919 + index * 31) % 20000 for index in range(n_tokens)]


def slots_busy(llm: Llama, number: int) -> Callable[[], bool]:
    return lambda: llm.status().n_busy == number


def start(llm: Llama, tokens: list[int], max_tokens: int = 2000) -> Generation:
    return llm.generate(tokens, max_tokens=max_tokens, ignore_eos=True, stream=True)


def test_abort_while_generating_frees_the_slot(llm: Llama) -> None:
    """A client that leaves during its answer is gone within half a second."""
    generation = start(llm, filler(llm, 20, 1))
    next(generation)
    generation.close()
    assert until(slots_busy(llm, 0)) < 0.5


def test_abort_in_a_long_prompt_frees_the_slot(llm: Llama) -> None:
    """A client that leaves during a prompt of 3,000 tokens is gone within half a second."""
    generation = start(llm, filler(llm, 3000, 2))
    until(slots_busy(llm, 1))
    time.sleep(0.3)
    assert generation.poll(0) is None, "still in its prompt"
    generation.close()
    assert until(slots_busy(llm, 0)) < 0.5


def test_abort_while_waiting_costs_the_others_nothing(llm: Llama) -> None:
    """A client that leaves the queue never gets a slot."""
    running = [start(llm, filler(llm, 10, seed)) for seed in range(10, 14)]
    until(slots_busy(llm, 4))
    waiting = start(llm, filler(llm, 10, 14))
    assert llm.status().n_waiting == 1
    waiting.close()
    assert until(lambda: llm.status().n_waiting == 0) < 0.5
    assert llm.status().n_busy == 4
    for generation in running:
        generation.close()


def test_an_abort_leaves_a_neighbours_answer_alone(llm: Llama) -> None:
    """An interrupted batch is computed again: who shared it counts on, and leaves no number out."""
    neighbour = llm.generate(counting(1), max_tokens=40, ignore_eos=True, stream=True)
    parts = [next(neighbour).text]
    for seed in (3, 4):
        leaver = start(llm, filler(llm, 3000, seed))
        parts.append(next(neighbour).text)
        time.sleep(0.15)
        assert leaver.poll(0) is None, "still in its prompt"
        leaver.close()
    parts += [delta.text for delta in neighbour]
    assert "".join(parts).strip().startswith(expected(1, 7))
    assert neighbour.finish_reason == "length"
    assert neighbour.usage.completion_tokens == 40


def test_a_crowd_is_served_in_turn(llm: Llama) -> None:
    """Thirty-two threads on four slots: every one of them gets its own right answer."""
    texts: dict[int, str] = {}

    def ask(first: int) -> None:
        texts[first] = llm.generate(counting(first), max_tokens=5).text

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(1, 161, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG_S)
    wrong = {n: text for n, text in texts.items() if not text.strip().startswith(expected(n, 1))}
    assert len(texts) == 32
    assert wrong == {}


def test_usage_and_timings_add_up(llm: Llama) -> None:
    """Counts are the prompt's and the answer's; durations are positive and finite."""
    prompt = filler(llm, 40, 5)
    completion = llm.generate(prompt, max_tokens=5, ignore_eos=True)
    assert completion.usage.prompt_tokens == 40
    timings = completion.timings
    assert timings.cache_n + timings.prompt_n == 40
    assert timings.prompt_ms > 0
    assert timings.predicted_ms > 0
    assert timings.queue_ms >= 0


def test_wrong_parameters_never_reach_the_engine(llm: Llama) -> None:
    """Unknown names are TypeErrors that name the nearest, wrong values InvalidRequest."""
    with pytest.raises(UnknownOption, match="max_tokens"):
        llm.generate("Hi", max_token=5)
    with pytest.raises(TypeError):
        llm.chat([{"role": "user", "content": "Hi"}], temprature=0.5)
    with pytest.raises(InvalidRequest):
        llm.generate("Hi", temperature="hot")


def test_a_pool_with_too_few_cells_serves_everybody(
    model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four answers that do not fit one pool together: some are preempted, all are whole."""
    preempted: list[Sequence] = []
    preempt = Lifecycle.preempt

    def counted(lifecycle: Lifecycle, sequence: Sequence) -> None:
        preempted.append(sequence)
        preempt(lifecycle, sequence)

    monkeypatch.setattr(Lifecycle, "preempt", counted)
    firsts = [1, 21, 41, 61]
    with Llama(str(model_path), kv_unified=True, ctx_size=256, parallel=4, threads=2) as llm:
        assert llm.n_ctx == 256
        completions = ask_all(llm, firsts, 40)
        until(slots_busy(llm, 0))
        llm.check_integrity()
    for first, completion in zip(firsts, completions, strict=True):
        assert completion.text.strip().startswith(expected(first, 4))
        assert completion.usage.completion_tokens == 40
    assert preempted


def test_the_end_of_the_context_ends_an_answer(model_path: Path) -> None:
    """Without a limit an answer goes on to the last cell, and says "length"."""
    with Llama(str(model_path), ctx_size=512, parallel=2, threads=2) as llm:
        assert llm.n_ctx == 256
        completion = llm.generate(filler(llm, 246, 1), max_tokens=-1, ignore_eos=True)
    assert completion.finish_reason == "length"
    assert completion.usage.completion_tokens == 10


def test_the_queue_is_bounded(model_path: Path) -> None:
    """With ``max_queue=0`` a request that finds no slot is refused, until one is free."""
    with Llama(str(model_path), ctx_size=512, parallel=1, threads=2, max_queue=0) as llm:
        running = start(llm, filler(llm, 10, 1))
        with pytest.raises(QueueFull):
            llm.generate("Hi")
        running.close()
        until(lambda: (llm.status().n_busy, llm.status().n_waiting) == (0, 0))
        assert llm.generate("Hi", max_tokens=1).usage.completion_tokens == 1
