"""Embeddings of real models: of one that generates as well, and of an encoder."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pyllama import Llama
from pyllama.errors import (
    ConfigError,
    ContextOverflow,
    EngineError,
    InvalidRequest,
    Unsupported,
)
from pyllama.llama_cpp import Llama as TheirLlama
from pyllama.settings import Settings, from_keywords
from pyllama.tune.run import tune
from tests.support import tiny_bert

pytestmark = pytest.mark.model

TEXTS = [
    "The cat sleeps on the warm stove.",
    "A kitten naps beside the oven.",
    "Interest rates rose by half a percent.",
    "def add(a, b): return a + b",
]
LONG = "All work and no play makes Jack a dull boy. " * 60


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return math.sumprod(one, other) if hasattr(math, "sumprod") else sum(map(_product, one, other))


def _product(one: float, other: float) -> float:
    return one * other


@pytest.fixture(scope="module")
def llm(short_model_path: Path) -> Iterator[Llama]:
    """The default model, which was not made for embeddings."""
    with Llama(str(short_model_path), ctx_size=4 * 1024, parallel=4, threads=1) as llm:
        yield llm
        llm.check_integrity()


@pytest.fixture(scope="module")
def bert_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert.write(tmp_path_factory.mktemp("bert") / "bert.gguf")


@pytest.fixture(scope="module")
def bert(bert_path: Path) -> Iterator[Llama]:
    """An encoder, which does nothing else."""
    with Llama(str(bert_path), threads=1) as llm:
        yield llm
        llm.check_integrity()


def test_a_text_is_a_vector_of_length_one(llm: Llama) -> None:
    """Its tokens are counted as they are tokenised."""
    made = llm.embed(TEXTS[0])
    (vector,) = made.vectors
    assert len(vector) == llm.info.n_embd == 576
    assert math.hypot(*vector) == pytest.approx(1.0, abs=1e-6)
    assert made.prompt_tokens == made.data[0].n_tokens == len(llm.tokenize(TEXTS[0], special=True))
    assert llm.info.pooling == "mean"


def test_equal_texts_have_equal_vectors_in_any_batch(llm: Llama) -> None:
    """Alone, among others, and beside a text that takes several batches."""
    alone = [llm.embed(text).vectors[0] for text in TEXTS]
    together = llm.embed([*TEXTS, LONG, *reversed(TEXTS)]).vectors
    for index, vector in enumerate(alone):
        assert cosine(vector, together[index]) > 0.999
        assert cosine(vector, together[-1 - index]) > 0.999
    assert max(cosine(alone[0], other) for other in alone[1:]) < 0.99


def test_tokens_are_taken_as_they_are(llm: Llama) -> None:
    """Ids and the text that they stand for mean the same."""
    tokens = llm.tokenize(TEXTS[0], special=True)
    assert cosine(*llm.embed([tokens, TEXTS[0]]).vectors) > 0.999


def test_vectors_are_cut_before_they_are_scaled(llm: Llama) -> None:
    """The first numbers keep their proportions."""
    whole = llm.embed(TEXTS[0], normalize=-1).vectors[0]
    part = llm.embed(TEXTS[0], dimensions=16).vectors[0]
    assert len(part) == 16
    assert cosine(part, whole[:16]) / math.hypot(*whole[:16]) == pytest.approx(1.0, abs=1e-3)
    assert math.hypot(*part) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("inputs", "options", "param"),
    [
        ("", {}, "input"),
        ([], {}, "input"),
        (["a", ""], {}, "input[1]"),
        ([[]], {}, "input[0]"),
        ([[1, 49152]], {}, "input[0]"),
        ([[-1]], {}, "input[0]"),
        ("a", {"dimensions": 577}, "dimensions"),
        ("a", {"dimensions": 0}, "dimensions"),
        ("a", {"normalize": -2}, "embd_normalize"),
    ],
)
def test_what_cannot_be_embedded_is_refused(
    llm: Llama, inputs: object, options: dict[str, int], param: str
) -> None:
    """The error names the field; llama.cpp is never asked."""
    with pytest.raises(InvalidRequest) as caught:
        llm.start_embed(inputs, **options)  # type: ignore[arg-type]
    assert caught.value.param == param


def test_what_is_too_long_is_refused_or_cut(llm: Llama) -> None:
    """As the request says; the longest input that there can be is embedded."""
    tokens = [1, *[100, 200, 300] * 400]
    with pytest.raises(ContextOverflow) as caught:
        llm.embed(["a", tokens])
    assert (caught.value.param, caught.value.n_prompt_tokens) == ("input[1]", 1201)
    assert caught.value.n_ctx == 1024
    cut, longest = llm.embed([tokens, tokens[:1024]], truncate=True).data
    assert cut.n_tokens == 1024
    assert cosine(cut.vector, longest.vector) > 0.999


def test_embeddings_and_answers_at_once(llm: Llama) -> None:
    """Neither changes the other, whatever runs beside it."""
    expected = llm.generate("One, two, three,", max_tokens=12, ignore_eos=True).text
    vector = llm.embed(TEXTS[0]).vectors[0]
    with ThreadPoolExecutor(6) as pool:
        answers = [
            pool.submit(llm.generate, "One, two, three,", max_tokens=12, ignore_eos=True)
            for _ in range(3)
        ]
        embedded = [pool.submit(llm.embed, [LONG, *TEXTS]) for _ in range(3)]
        assert {answer.result().text for answer in answers} == {expected}
        for made in embedded:
            assert cosine(made.result().vectors[1], vector) > 0.999
    assert (llm.status().n_busy, llm.status().n_waiting) == (0, 0)


def test_a_closed_request_leaves_nothing(llm: Llama) -> None:
    """It ends between two batches, and its cells are free."""
    before = llm.metrics().n_embedded
    pending = llm.start_embed([LONG] * 40)
    assert not pending.poll(0.0)
    pending.close()
    assert pending.poll(60)
    assert llm.metrics().n_embedded < before + 40
    assert llm.metrics().finished["cancelled"] >= 1
    assert llm.status().n_waiting == 0
    assert len(llm.embed([LONG] * 3).vectors) == 3


def test_a_dropped_request_ends(llm: Llama) -> None:
    """Nobody can read it any more."""
    before = llm.metrics().finished.get("cancelled", 0)
    llm.start_embed([LONG] * 40)
    llm.embed("a")
    assert llm.metrics().finished["cancelled"] == before + 1


@pytest.mark.parametrize("pooling", ["last", "cls", "none"])
def test_pooling_is_the_operators_choice(short_model_path: Path, llm: Llama, pooling: str) -> None:
    """The last token's row, the first one's, or all of them; long texts too."""
    options = {"ctx_size": 4096, "threads": 1, "pooling": pooling}
    with Llama(str(short_model_path), **options) as other:  # type: ignore[arg-type]
        short, long = other.embed([TEXTS[0], LONG]).data
        whole = llm.embed(TEXTS[0]).vectors[0]
        assert len(short.rows) == (short.n_tokens if pooling == "none" else 1)
        assert len(long.rows) == (long.n_tokens if pooling == "none" else 1)
        assert cosine(short.rows[-1], whole) / math.hypot(*short.rows[-1]) < 0.99
        if pooling == "none":
            mean = [sum(column) / short.n_tokens for column in zip(*short.rows, strict=True)]
            assert cosine(mean, whole) / math.hypot(*mean) > 0.999
            with pytest.raises(Unsupported, match="dimensions"):
                other.embed("a", dimensions=4)


def test_only_embeddings_where_the_operator_says_so(short_model_path: Path) -> None:
    """No text is generated, and nothing stops the server from saying so again."""
    with Llama(str(short_model_path), embedding=True, threads=1) as llm:
        for _ in range(2):
            with pytest.raises(Unsupported, match="for embeddings"):
                llm.generate("Hi")
        assert len(llm.embed(TEXTS).vectors) == 4
        assert not llm.info.can_generate
        llm.check_integrity()


def test_an_encoder_embeds(bert: Llama) -> None:
    """Whatever is in the batch with it, an input has its own vector."""
    one, other, same, longest = bert.embed(["hello", "world", "hello", "a" * 62]).vectors
    assert cosine(one, same) > 0.9999
    assert cosine(one, bert.embed("hello").vectors[0]) > 0.9999
    assert cosine(one, other) < 0.99
    assert cosine(longest, bert.embed("a" * 62).vectors[0]) > 0.9999


def test_an_encoder_generates_nothing(bert: Llama) -> None:
    """A request for text is refused, as text and as a chat."""
    for ask in (bert.generate, lambda text: bert.chat([{"role": "user", "content": text}])):
        with pytest.raises(Unsupported, match="no text is generated"):
            ask("hi")
    assert (bert.info.can_generate, bert.info.pooling) == (False, "mean")


def test_a_cut_text_keeps_its_end(bert: Llama) -> None:
    """An encoder was trained with a separator behind every text."""
    with pytest.raises(ContextOverflow):
        bert.embed("a" * 100)
    cut = bert.start_embed("a" * 100, truncate=True)
    (tokens,) = cut._job.lot.inputs
    assert len(tokens) == tiny_bert.N_CTX
    assert (tokens[0], tokens[-1]) == (tiny_bert.CLS, tiny_bert.SEP)
    assert len(cut.result().vectors) == 1


def test_a_model_that_ranks_makes_no_embeddings(tmp_path: Path) -> None:
    """It says so, and what overrules it does."""
    path = tiny_bert.write(tmp_path / "rank.gguf", pooling=4)
    with Llama(str(path), threads=1) as llm, pytest.raises(Unsupported, match="--pooling"):
        llm.embed("a")
    with Llama(str(path), threads=1, pooling="cls") as llm:
        assert len(llm.embed("a").vectors) == 1
    with pytest.raises(ConfigError, match="rank"):
        Settings(pooling="rank")


def test_nothing_is_tuned_where_nothing_is_generated(bert_path: Path) -> None:
    """There would be nothing to measure."""
    with pytest.raises(ConfigError, match="generates no text"):
        tune(from_keywords(str(bert_path), {"threads": 1}), bert_path, seconds=5)


def test_a_closed_model_embeds_nothing(bert_path: Path) -> None:
    """The context is freed with the model, and who waits is told."""
    llm = Llama(str(bert_path), threads=1)
    llm.embed("a")
    n_threads = threading.active_count()
    llm.close()
    assert threading.active_count() == n_threads - 1
    with pytest.raises(EngineError, match="closed"):
        llm.embed("a")


def test_the_other_interface_embeds(short_model_path: Path, llm: Llama) -> None:
    """llama-cpp-python's two methods, with its shapes."""
    with TheirLlama(str(short_model_path), embedding=True, n_threads=1, pooling_type=1) as theirs:
        answer = theirs.create_embedding(["a cat", "a dog"])
        assert [item["index"] for item in answer["data"]] == [0, 1]
        assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] > 0
        vector, n_tokens = theirs.embed("a cat", normalize=True, return_count=True)
        assert n_tokens == len(theirs.tokenize(b"a cat", add_bos=False))
        assert cosine(vector, llm.embed("a cat").vectors[0]) > 0.999
        assert math.hypot(*answer["data"][0]["embedding"]) > 2
        assert len(theirs.embed(["a", "b"])) == 2
        assert theirs.create_completion("Hi", max_tokens=2)["usage"]["completion_tokens"] == 2  # type: ignore[index]
