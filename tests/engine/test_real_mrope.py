"""Pictures whose positions lie in two dimensions, on a tiny model of random weights."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pyllama import Llama
from pyllama._ext.context import DECODE_OK
from pyllama._ext.media import MediaChunk, Projector
from pyllama.results import Completion
from pyllama.sched.ram_tier import RamTier
from tests.ext.native import Driver, argmax, load
from tests.support import media_files, projectors, tiny_qwen
from tests.support.media_files import image_part, shown

# One token a micro-batch: the very same arithmetic whatever else a batch holds.
OPTIONS: dict[str, Any] = {
    "ctx_size": 2048,
    "parallel": 4,
    "threads": 1,
    "ubatch_size": 1,
    "warmup": False,
    "max_tokens": 12,
}
LAYOUTS = {"streams": {}, "pool": {"kv_unified": True}}
QUESTION = "What is it?"
SIZE = (168, 112)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The model and its projector."""
    folder = tmp_path_factory.mktemp("qwen")
    model = tiny_qwen.write(folder / "qwen.gguf")
    return model, projectors.merger(folder, tiny_qwen.N_EMBD)


def start(files: tuple[Path, Path], **changes: Any) -> Llama:
    model, mmproj = files
    return Llama(str(model), mmproj=str(mmproj), **{**OPTIONS, **changes})


@pytest.fixture(scope="module", params=LAYOUTS)
def llm(request: pytest.FixtureRequest, files: tuple[Path, Path]) -> Iterator[Llama]:
    """The model in both layouts of KV cells."""
    with start(files, **LAYOUTS[request.param]) as llm:
        yield llm
        llm.check_integrity()


def chat(*seeds: int, question: str = QUESTION) -> list[dict[str, Any]]:
    return shown(question, *[image_part(media_files.picture(seed, *SIZE)) for seed in seeds])


def ask(llm: Llama, *seeds: int, question: str = QUESTION, **params: Any) -> Completion:
    completion: Completion = llm.chat(chat(*seeds, question=question), **params)
    return completion


def by_hand(files: tuple[Path, Path], tokens: tuple[int, ...], seeds: tuple[int, ...]) -> list[int]:
    """Return the greedy answer to a prompt, with positions as mtmd's own helper counts them."""
    model = load(files[0], ("--ubatch-size", "1"))
    projector, driver = Projector(model, files[1]), Driver.of(model)
    pictures = [media_files.image(seed, *SIZE).tobytes() for seed in seeds]
    cut = [piece for rgb in pictures for piece in projector.picture(rgb, *SIZE)]
    chunks = iter([piece for piece in cut if isinstance(piece, MediaChunk)])
    position, index = 0, 0
    while index < len(tokens):
        if tokens[index] < 0:
            chunk = next(chunks)
            assert chunk.decode(driver.context, chunk.encode(), position, 0) == DECODE_OK
            position, index = position + chunk.n_pos, index + chunk.n_tokens
            continue
        # The driver's index of a token is its position.
        (logits,) = driver.run(([0] * position + [tokens[index]], position, 0))
        position, index = position + 1, index + 1
    answer = [argmax(logits)]
    while len(answer) < OPTIONS["max_tokens"]:
        (logits,) = driver.run(([0] * position + answer[-1:], position, 0))
        answer.append(argmax(logits))
        position += 1
    driver.context.close()
    return answer


def test_a_picture_takes_its_longer_side_in_positions(files: tuple[Path, Path]) -> None:
    """And a KV cell for each of its tokens."""
    model = load(files[0])
    projector = Projector(model, files[1])
    assert projector.is_mrope
    pieces = projector.picture(media_files.image(1, *SIZE).tobytes(), *SIZE)
    (chunk,) = [piece for piece in pieces if isinstance(piece, MediaChunk)]
    assert (chunk.n_tokens, chunk.n_pos) == (24, 6)


@pytest.mark.parametrize("seeds", [(), (1,), (1, 2)])
def test_answers_are_those_of_the_positions_counted_by_hand(
    llm: Llama, files: tuple[Path, Path], seeds: tuple[int, ...]
) -> None:
    """For text, for a picture, and for text behind two of them."""
    prompt = llm.chat_prompt(chat(*seeds))
    wanted = llm.detokenize(by_hand(files, prompt.tokens, seeds))
    assert ask(llm, *seeds, cache_prompt=False).text == wanted
    assert ask(llm, *seeds).text == wanted
    assert ask(llm, *seeds).text == wanted


def test_two_pictures_give_two_answers(llm: Llama) -> None:
    """Each its own, again and again."""
    one, other = ask(llm, 11), ask(llm, 12)
    assert one.text != other.text
    assert (ask(llm, 11).text, ask(llm, 12).text) == (one.text, other.text)


def test_a_second_question_computes_no_picture(llm: Llama) -> None:
    """Its cells are there, and the answer is that of a prompt computed from its start."""
    ask(llm, 20)
    n_encoded = llm.metrics().n_encoded
    second = ask(llm, 20, question="And what more?")
    n_picture = llm.chat_prompt(chat(20)).media[-1].end
    assert second.usage.cached_tokens >= n_picture
    assert second.text == ask(llm, 20, question="And what more?", cache_prompt=False).text
    assert llm.metrics().n_encoded == n_encoded


def test_a_picture_is_shared_with_a_request_that_still_runs(llm: Llama) -> None:
    """Several take its cells from the one who is being answered."""
    n_picture = llm.chat_prompt(chat(21)).media[-1].end
    questions = ["And now?", "Is it art?"]
    with llm.chat(chat(21), stream=True, max_tokens=200, ignore_eos=True) as running:
        next(running)
        shared = [ask(llm, 21, question=question) for question in questions]
    for question, answer in zip(questions, shared, strict=True):
        assert answer.usage.cached_tokens >= n_picture
        assert answer.text == ask(llm, 21, question=question, cache_prompt=False).text


def test_many_at_once_get_the_answers_that_they_get_alone(llm: Llama) -> None:
    """Equal prompts and different ones, with pictures and without."""
    chats = [chat(), chat(30), chat(30), chat(31, 30), chat(30, 31), chat(question="Count!")]
    alone = [llm.chat(messages, cache_prompt=False).text for messages in chats]
    with ThreadPoolExecutor(len(chats)) as pool:
        together = list(pool.map(lambda messages: llm.chat(messages).text, chats))
    assert together == alone


def test_drafts_change_no_answer(files: tuple[Path, Path]) -> None:
    """They sit at the positions of what they guess, and wrong ones are removed from there."""
    answers = []
    for options in ({}, {"spec_type": "ngram-simple", "spec_ngram_simple_size_n": 2}):
        with start(files, **options) as llm:
            question = "one two three one two three one two"
            answers.append(ask(llm, 1, question=question, max_tokens=40).text)
            llm.check_integrity()
    assert answers[0] == answers[1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_picture_comes_back_from_host_memory(
    files: tuple[Path, Path], layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lost its slot is loaded with its positions, and goes on as before."""
    # So small a model may compute faster than it loads.
    monkeypatch.setattr(RamTier, "load_cost", lambda *_: 0.0)
    sizes = {"streams": (512, 2), "pool": (256, 2)}
    ctx_size, parallel = sizes[layout]
    changes = {**LAYOUTS[layout], "ctx_size": ctx_size, "parallel": parallel, "cache_ram": 64}
    with start(files, **changes) as llm:
        long = f"What is the number of this picture? {QUESTION}" * 2
        cold = ask(llm, 1, question=long)
        for seed in range(40, 46):
            ask(llm, seed, question=long)
        n_hits = llm._engine._generator.scheduler.tier.n_hits
        warm = ask(llm, 1, question=long)
        assert warm.text == cold.text
        assert llm._engine._generator.scheduler.tier.n_hits == n_hits + 1
        assert warm.usage.cached_tokens == warm.usage.prompt_tokens - 1
        llm.check_integrity()
