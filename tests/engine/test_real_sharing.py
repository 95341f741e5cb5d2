"""Prefixes that requests have in common, on the real model, in both layouts of the KV cells."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from pyllama import Llama, Prompt
from pyllama.errors import InvalidRequest

if TYPE_CHECKING:
    from pathlib import Path

# A hundred lines that differ, so that no part of the beginning repeats.
COMMON = "".join(f"Entry {n} of the list has the value {n * n}.\n" for n in range(40))
COUNTS = [range(10 * i + 7, 10 * i + 17) for i in range(4)]
PROMPTS = [COMMON + "".join(f"{n}, " for n in count).strip() for count in COUNTS]


@pytest.mark.parametrize("kv_unified", [False, True], ids=["streams", "pool"])
def test_a_common_prefix_is_computed_once(model_path: Path, *, kv_unified: bool) -> None:
    """Of four prompts at once one computes the beginning; the others attach and answer rightly."""
    ctx_size = 2048 if kv_unified else 4 * 2048
    with Llama(
        str(model_path), ctx_size=ctx_size, parallel=4, threads=1, kv_unified=kv_unified
    ) as llm:
        n_common = len(llm.tokenize(COMMON))
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda prompt: llm.generate(prompt, max_tokens=8), PROMPTS))
        cached = sorted(answer.usage.cached_tokens for answer in answers)
        assert cached[0] == 0
        assert all(n >= n_common for n in cached[1:])
        for count, answer in zip(COUNTS, answers, strict=True):
            assert answer.text.startswith(f" {count.stop}, {count.stop + 1},")
        llm.check_integrity()


def test_one_slot_remembers_several_conversations(model_path: Path) -> None:
    """With one slot a second conversation does not cost the first one its cells."""
    with Llama(str(model_path), ctx_size=2048, parallel=1, threads=1) as llm:
        first = llm.generate(PROMPTS[0], max_tokens=4)
        llm.generate("Something else altogether: " + "la " * 30, max_tokens=4)
        again = llm.generate(PROMPTS[0], max_tokens=4)
        assert again.usage.cached_tokens == again.usage.prompt_tokens - 1
        assert again.text == first.text
        llm.check_integrity()


@pytest.mark.parametrize("log_prompts", [True, False])
def test_prompts_are_logged_only_when_asked_for(
    model_path: Path, caplog: pytest.LogCaptureFixture, *, log_prompts: bool
) -> None:
    """The text of a prompt reaches the log with the option on, and never without it."""
    caplog.set_level("DEBUG", logger="pyllama")
    with Llama(str(model_path), ctx_size=512, parallel=1, log_prompts=log_prompts) as llm:
        llm.generate("a secret word", max_tokens=1)
    assert ("a secret word" in caplog.text) is log_prompts


def test_a_stream_keeps_its_model(model_path: Path) -> None:
    """An answer whose model nobody else holds any more is read to its end."""
    stream = Llama(str(model_path), ctx_size=512, threads=1).generate(
        "1, 2, 3, 4,", stream=True, max_tokens=8
    )
    assert "".join(delta.text for delta in stream).startswith(" 5, 6,")


def test_a_hand_made_prompt_is_checked(model_path: Path) -> None:
    """A token that the vocabulary does not have is refused before it reaches the batch."""
    with Llama(str(model_path), ctx_size=512, parallel=1, threads=1) as llm:
        for tokens in ((), (10**6,), (-1,)):
            with pytest.raises(InvalidRequest, match="prompt"):
                llm.start(Prompt(tokens), llm.defaults)
        assert llm.generate("1, 2, 3,", max_tokens=2).usage.completion_tokens == 2
