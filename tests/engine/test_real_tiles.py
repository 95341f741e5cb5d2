"""Pictures cut into rows of tiles with control tokens around each, as SmolVLM sees them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyllama import Llama
from pyllama.errors import ModelLoadError
from tests.support import media_files, projectors
from tests.support.media_files import image_part, shown
from tests.support.vocabulary import renamed

OPTIONS: dict[str, Any] = {
    "ctx_size": 4096,
    "parallel": 4,
    # A thread that waits for no other, so that a busy machine slows the tests and no more.
    "threads": 1,
    "warmup": False,
    "max_tokens": 8,
}
QUESTION = "What is it?"
N_TILE = 4
# Control tokens of the default model that no chat has, and SmolVLM's.
SPARE = (
    *("repo_name", "reponame", "file_sep", "filename", "gh_stars", "issue_start", "issue_comment"),
    *("issue_closed", "jupyter_start", "jupyter_text", "jupyter_code", "jupyter_output"),
    *("jupyter_script", "empty_output"),
)
FRAMES = (
    *("fake_token_around_image", "global-img"),
    *(f"row_{row}_col_{column}" for row in (1, 2, 3) for column in (1, 2, 3, 4)),
)


@pytest.fixture(scope="module")
def mmproj(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file of the projector."""
    return str(projectors.make(tmp_path_factory.mktemp("projectors"), "framed"))


@pytest.fixture(scope="module")
def framing(short_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default model, with SmolVLM's control tokens."""
    names = {f"<{ours}>": f"<{theirs}>" for ours, theirs in zip(SPARE, FRAMES, strict=True)}
    return renamed(short_model_path, tmp_path_factory.mktemp("models") / "framing.gguf", names)


@pytest.fixture(
    scope="module", params=[{"ubatch_size": 1}, {"kv_unified": True}], ids=["streams", "pool"]
)
def llm(request: pytest.FixtureRequest, framing: Path, mmproj: str) -> Iterator[Llama]:
    """The model that sees tiles, over both layouts of the KV cache."""
    with Llama(str(framing), mmproj=mmproj, **OPTIONS, **request.param) as llm:
        yield llm
        llm.check_integrity()


def chat(seed: int, width: int = 400, height: int = 300, question: str = QUESTION) -> Any:
    return shown(question, image_part(media_files.picture(seed, width, height)))


def test_a_picture_is_rows_of_tiles_and_an_overview(llm: Llama) -> None:
    """Each tile in its frame, and each of them counted."""
    prompt = llm.chat_prompt(chat(1))
    assert [span.count for span in prompt.media] == [N_TILE] * (3 * 4 + 1)
    frame, mark = "<fake_token_around_image>", "<__media__>"
    rows = (
        "".join(f"{frame}<row_{row}_col_{column}>{mark}" for column in (1, 2, 3, 4))
        for row in (1, 2, 3)
    )
    overview = f"{frame}<global-img>{mark}{frame}{QUESTION}"
    text = llm.detokenize(prompt.tokens, special=True)
    assert "\n".join(rows) + "\n\n" + overview in text
    assert llm.chat(chat(1)).usage.prompt_tokens == len(prompt.tokens)


def test_answers_depend_on_what_is_shown(llm: Llama) -> None:
    """Two pictures give two answers, the same one the same, and its tiles are cached as text is."""
    one, other, same = [llm.chat(chat(seed), cache_prompt=False) for seed in (2, 3, 2)]
    cached = llm.chat(chat(2))
    assert one.text == same.text == cached.text != other.text
    assert cached.usage.cached_tokens == cached.usage.prompt_tokens - 1


def test_a_second_question_computes_no_tile(llm: Llama) -> None:
    """A large picture's tiles and its overview are there, and nothing is encoded again."""
    llm.chat(chat(4, 1500, 1100))
    before = llm.metrics().n_encoded
    second = llm.chat(chat(4, 1500, 1100, "Which colours has it?"))
    assert second.usage.cached_tokens >= llm.chat_prompt(chat(4, 1500, 1100)).media[-1].end
    assert llm.metrics().n_encoded == before


def test_pictures_that_share_a_tile_share_no_more(llm: Llama) -> None:
    """What differs in its last rows only is another picture from its first tile on."""
    image = media_files.image(5, 400, 300)
    llm.chat(shown(QUESTION, {"type": "image", "image": image}))
    changed = image.copy()
    changed.paste("red", (0, 250, 400, 300))
    n_before = llm.chat_prompt(shown(QUESTION, {"type": "image", "image": image})).media[0].start
    other = llm.chat(shown(QUESTION, {"type": "image", "image": changed}))
    assert other.usage.cached_tokens <= n_before


def test_a_vocabulary_without_the_frames_is_refused(short_model_path: Path, mmproj: str) -> None:
    """When it is loaded, and not only when the first client shows a picture."""
    with pytest.raises(ModelLoadError, match=r"tokens that the vocabulary lacks.*for this model"):
        Llama(str(short_model_path), mmproj=mmproj, **OPTIONS)
