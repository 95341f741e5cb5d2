"""Speculative decoding on the real model: other steps, the same tokens."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pyllama import Llama
from pyllama.engine import loader
from pyllama.results import Completion

if TYPE_CHECKING:
    from pathlib import Path

FIELDS = "".join(f"def get_{name}(self):\n    return self.{name}\n\n" for name in ("a", "b", "c"))
PROMPTS = [FIELDS + FIELDS[:n] for n in (4, 12, 40, 60)]
DRAFTS: dict[str, Any] = {
    "spec_type": "ngram-simple,ngram-cache",
    "spec_ngram_simple_size_n": 3,
    "spec_ngram_simple_size_m": 6,
}
COUNT = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 1, 2, 3, 4, 5,"


def answers(llm: Llama, prompts: list[str], **params: Any) -> list[Completion]:
    """Return the answers to prompts that are asked at the same time."""
    with ThreadPoolExecutor(len(prompts)) as pool:
        return list(
            pool.map(lambda prompt: llm.generate(prompt, cache_prompt=False, **params), prompts)
        )


def everything(path: Path, **options: Any) -> tuple[list[str], int]:
    """Return the texts of one and of four prompts at once, and the tokens guessed rightly."""
    texts: list[str] = []
    n_accepted = 0
    # One token a micro-batch: the very same arithmetic whatever else the batch holds.
    with Llama(
        str(path), ctx_size=1024, parallel=4, threads=1, ubatch_size=1, warmup=False, **options
    ) as llm:
        for params in ({}, {"temperature": 0.7, "seed": 3, "repeat_penalty": 1.05}):
            for prompts in (PROMPTS[:1], PROMPTS):
                for answer in answers(llm, prompts, max_tokens=16, **params):
                    texts.append(answer.text)
                    n_accepted += answer.timings.draft_n_accepted
        llm.check_integrity()
    return texts, n_accepted


def test_drafts_change_no_token(short_model_path: Path) -> None:
    """Greedy, and seeded with a penalty, alone and four at once: what plain decoding says."""
    plain, n_none = everything(short_model_path)
    drafted, n_accepted = everything(short_model_path, **DRAFTS)
    assert drafted == plain
    assert n_none == 0
    assert n_accepted > 10


@pytest.mark.parametrize("kv_unified", [False, True], ids=["streams", "pool"])
def test_a_repetition_is_read_in_pieces(model_path: Path, *, kv_unified: bool) -> None:
    """What was said before comes several tokens a step, in both layouts, rightly."""
    with Llama(
        str(model_path), ctx_size=1024, parallel=4, threads=1, kv_unified=kv_unified, **DRAFTS
    ) as llm:
        for answer in answers(llm, [COUNT] * 4, max_tokens=30):
            assert answer.text.startswith(" 6, 7, 8, 9, 10,")
            said = answer.timings.as_dict()
            assert 10 <= said["draft_n_accepted"] <= said["draft_n"]
            assert answer.usage.completion_tokens == 30
        llm.check_integrity()


@pytest.mark.parametrize("end", [{"max_tokens": 9}, {"stop": "9,"}], ids=["length", "stop"])
def test_an_answer_ends_within_a_draft(model_path: Path, end: dict[str, Any]) -> None:
    """The budget and a stop string cut a draft like other text, and the next answer is right."""
    with Llama(str(model_path), ctx_size=256, parallel=1, threads=1, **DRAFTS) as llm:
        first = llm.generate(COUNT, **end)
        assert " 6, 7, 8,".startswith(first.text.rstrip())
        assert first.timings.draft_n > 0
        assert llm.generate(COUNT, max_tokens=9).text.startswith(" 6, 7, 8,")
        llm.check_integrity()


def test_memory_that_cannot_go_back_has_no_drafts(
    model_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where wrong guesses could not be taken back, none are made, and the log says so."""
    real = loader._limits

    def untrimmable(*args: Any) -> Any:
        return replace(real(*args), can_trim=False)

    monkeypatch.setattr(loader, "_limits", untrimmable)
    with (
        caplog.at_level(logging.WARNING, logger="pyllama"),
        Llama(str(model_path), ctx_size=256, parallel=1, threads=1, **DRAFTS) as llm,
    ):
        assert llm.generate(COUNT, max_tokens=9).timings.draft_n == 0
    assert "speculative decoding is off" in caplog.text


def test_probabilities_exclude_drafts(model_path: Path) -> None:
    """Who asks how likely each token was gets no draft: its tokens would come without."""
    with Llama(str(model_path), ctx_size=256, parallel=1, threads=1, **DRAFTS) as llm:
        assert llm.generate(COUNT, max_tokens=9, logprobs=0).timings.draft_n == 0
        assert llm.generate(COUNT, max_tokens=9).timings.draft_n > 0
