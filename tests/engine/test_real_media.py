"""Pictures and sound on the real model, through projectors with random weights."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pyllama import Llama
from pyllama.errors import (
    ContextOverflow,
    InvalidMedia,
    InvalidRequest,
    ModelLoadError,
    Unsupported,
)
from pyllama.recommendation import Recommendation
from pyllama.results import Completion
from tests.support import media_files, projectors
from tests.support.media_files import audio_part, image_part, shown

# One token a micro-batch: the very same arithmetic whatever else a batch holds.
OPTIONS: dict[str, Any] = {
    "ctx_size": 4096,
    "parallel": 4,
    # And a thread that waits for no other, so that a busy machine slows the tests and no more.
    "threads": 1,
    "ubatch_size": 1,
    "warmup": False,
    "max_tokens": 8,
}
QUESTION = "What is it?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("projectors")


@pytest.fixture(scope="module")
def llm(short_model_path: Path, folder: Path) -> Iterator[Llama]:
    """A model that sees tiles."""
    mmproj = str(projectors.make(folder, "shuffle"))
    with plain(Llama(str(short_model_path), mmproj=mmproj, **OPTIONS)) as llm:
        yield llm
        llm.check_integrity()


def plain(llm: Llama) -> Llama:
    """Return a model that nothing is said to and sampled with but what the tests say."""
    llm.recommended = Recommendation()
    return llm


def picture(seed: int, width: int = 150, height: int = 100) -> dict[str, Any]:
    return image_part(media_files.picture(seed, width, height))


def ask(llm: Llama, number: int, question: str = QUESTION, **params: Any) -> Completion:
    completion: Completion = llm.chat(shown(question, picture(number)), **params)
    return completion


def sureness(llm: Llama, chat: Any, **params: Any) -> tuple[float, ...]:
    """Return how sure the model is of each token: it tells of more than the words do."""
    completion = llm.chat(chat, logprobs=0, **params)
    return tuple(item.logprob for item in completion.logprobs)


@pytest.mark.parametrize("kind", ["mlp", "shuffle", "whole", "sound"])
@pytest.mark.parametrize("layout", [{}, {"kv_unified": True}])
def test_answers_depend_on_what_is_shown(
    short_model_path: Path, folder: Path, kind: str, layout: dict[str, Any]
) -> None:
    """Two pictures or sounds are two to the model, the same one is the same, cached or not."""
    mmproj = str(projectors.make(folder, kind))
    options = {**OPTIONS, **layout, "ubatch_size": 64}
    one, other = [
        shown(QUESTION, audio_part(media_files.wav(seed)) if kind == "sound" else picture(seed))
        for seed in (1, 2)
    ]
    # Asked first each time: in a pool other cells would mean other last bits.
    with plain(Llama(str(short_model_path), mmproj=mmproj, **options)) as llm:
        expected = llm.chat(one, cache_prompt=False)
    with plain(Llama(str(short_model_path), mmproj=mmproj, **options)) as llm:
        same = llm.chat(one, cache_prompt=False)
        cached = llm.chat(one)
        assert expected.text == same.text == cached.text
        apart = sureness(llm, one)[0] - sureness(llm, other)[0]
        assert abs(apart) > 1e-3
        assert cached.usage.cached_tokens == cached.usage.prompt_tokens - 1
        assert (llm.info.has_vision, llm.info.has_audio) == (kind != "sound", kind == "sound")
        llm.check_integrity()


def test_a_second_question_computes_no_picture(llm: Llama) -> None:
    """Its cells are there, in whatever slot it is asked, and nothing is encoded again."""
    first = ask(llm, 20)
    before = llm.metrics()
    second = ask(llm, 20, "Which colours has it?")
    after = llm.metrics()
    n_picture = llm.chat_prompt(shown(QUESTION, picture(20))).media[-1].end
    assert first.usage.prompt_tokens > n_picture
    assert second.usage.cached_tokens >= n_picture
    assert after.n_encoded == before.n_encoded


def test_a_picture_is_shared_with_a_request_that_still_runs(llm: Llama) -> None:
    """Who asks of the same picture takes its cells from the one who is being answered."""
    messages = shown(QUESTION, picture(21))
    n_picture = llm.chat_prompt(messages).media[-1].end
    with llm.chat(messages, stream=True, max_tokens=400, ignore_eos=True) as running:
        next(running)
        others = [ask(llm, 21, question) for question in ("And now?", "Is it art?")]
        assert all(other.usage.cached_tokens >= n_picture for other in others)


def test_a_picture_that_lost_its_cells_is_not_encoded_again(llm: Llama) -> None:
    """Its embeddings are kept for a while."""
    ask(llm, 22)
    n_encoded = llm.metrics().n_encoded
    ask(llm, 22, cache_prompt=False)
    assert llm.metrics().n_encoded == n_encoded


def test_many_at_once_get_the_answers_that_they_get_alone(llm: Llama) -> None:
    """With pictures and without, whatever the order in which they are computed."""
    chats = [shown(QUESTION, picture(seed)) for seed in range(30, 35)]
    chats += [[{"role": "user", "content": f"Count to {number}."}] for number in range(5)]
    alone = [sureness(llm, chat, cache_prompt=False) for chat in chats]
    with ThreadPoolExecutor(len(chats)) as pool:
        together = list(pool.map(lambda chat: sureness(llm, chat, cache_prompt=False), chats))
    assert together == alone
    assert len(set(alone)) == len(chats)


def test_a_client_may_leave_while_its_picture_is_computed(llm: Llama) -> None:
    """Nothing is left of it, and the next one is answered."""
    for seed in range(40, 44):
        with llm.chat(shown(QUESTION, picture(seed)), stream=True):
            pass
    assert ask(llm, 44).text == ask(llm, 44, cache_prompt=False).text
    llm.check_integrity()


def test_penalties_and_drafts_do_not_see_pictures(short_model_path: Path, folder: Path) -> None:
    """Sampling with a penalty and speculation work as for text; the answer is the plain one."""
    mmproj = str(projectors.make(folder, "mlp"))
    answers = []
    for options in ({}, {"spec_type": "ngram-simple", "spec_ngram_simple_size_n": 2}):
        with plain(Llama(str(short_model_path), mmproj=mmproj, **{**OPTIONS, **options})) as llm:
            answer = ask(llm, 1, repeat_penalty=1.2, temperature=0.5, seed=3, max_tokens=24)
            answers.append(answer.text)
    assert answers[0] == answers[1]


def test_several_pictures_stand_where_they_were_shown(llm: Llama) -> None:
    """Changing their order changes the answer; usage counts them all."""
    parts = [picture(seed, 50, 50) for seed in (1, 2)]
    chats = [shown(QUESTION, *order) for order in (parts, parts[::-1])]
    assert sureness(llm, chats[0]) != sureness(llm, chats[1])
    prompt = llm.chat_prompt(chats[0])
    assert llm.chat(chats[0]).usage.prompt_tokens == len(prompt.tokens)
    assert len(prompt.media) == 2


def test_objects_of_python_are_shown_too(llm: Llama, tmp_path: Path) -> None:
    """Bytes, a path and an image of Pillow's say the same as a data URL."""
    path = tmp_path / "picture.png"
    path.write_bytes(media_files.picture(3))
    sources = [path, path.read_bytes(), media_files.image(3)]
    chats = [shown(QUESTION, {"type": "image", "image": source}) for source in sources]
    chats.append(shown(QUESTION, image_part(path.read_bytes())))
    assert len({llm.chat_prompt(chat).tokens for chat in chats}) == 1


def test_a_prompt_shows_its_media_as_marks(llm: Llama) -> None:
    """The text of a prompt can be read; the numbers in it stand for nothing that could be."""
    text = llm.detokenize(llm.chat_prompt(shown(QUESTION, picture(1, 50, 50))).tokens, special=True)
    assert f"<img><__media__></img>{QUESTION}" in text


def test_what_cannot_be_computed_is_refused(llm: Llama) -> None:
    """Broken files, too many pictures for the context, and a prompt that ends with one."""
    with pytest.raises(InvalidMedia, match=r"messages\[0\]\.content\[0\]\.image_url\.url"):
        llm.chat(shown(QUESTION, image_part(b"\x89PNG\r\n\x1a\nbroken")))
    with pytest.raises(ContextOverflow):
        llm.chat(shown(QUESTION, *[picture(1)] * 40))
    with pytest.raises(Unsupported, match="takes no sound"):
        llm.chat(shown(QUESTION, audio_part(media_files.wav())))
    prompt = llm.chat_prompt(shown(QUESTION, picture(1)))
    with pytest.raises(InvalidRequest, match="excludes media"):
        llm.start(prompt, llm.defaults.with_options(prompt_logprobs=1))
    assert ask(llm, 1).text


def test_a_projector_is_one_of_this_model(short_model_path: Path, folder: Path) -> None:
    """A file that is none, or none for this model, is refused with the reason."""
    for path in (short_model_path, folder / "missing.gguf"):
        with pytest.raises(ModelLoadError, match=path.name):
            Llama(str(short_model_path), mmproj=str(path), **OPTIONS)


def test_prompts_may_be_logged(
    short_model_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A picture is a mark in the log."""
    mmproj = str(projectors.make(folder, "mlp"))
    with (
        caplog.at_level(logging.INFO, "pyllama"),
        plain(Llama(str(short_model_path), mmproj=mmproj, log_prompts=True, **OPTIONS)) as llm,
    ):
        ask(llm, 1)
    assert "<__media__>" in caplog.text
