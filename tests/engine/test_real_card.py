"""What a real model says of itself, and the tokens that a generation tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyllama import Llama

TEMPLATES = Path(__file__).parents[2] / "vendor" / "llama.cpp" / "models" / "templates"

pytestmark = pytest.mark.model


def opened(model_path: Path, **options: Any) -> Llama:
    return Llama(str(model_path), ctx_size=256, parallel=1, threads=1, **options)


def test_card_is_the_models(model_path: Path) -> None:
    """Template and metadata are the file's, also after the model was closed."""
    with opened(model_path) as llm:
        card = llm.card
    assert "<|im_start|>" in card.template
    assert (card.can_call, card.can_think, card.can_infill) == (True, False, False)
    metadata = card.metadata()
    assert metadata["llama.block_count"] == 30
    assert metadata["tokenizer.ggml.tokens"] is None
    assert len(card.metadata(arrays=True)["tokenizer.ggml.tokens"]) == llm.info.n_vocab


@pytest.mark.parametrize(
    ("template", "can_think"),
    [
        ("Qwen-Qwen3-0.6B", True),
        ("openai-gpt-oss-120b", True),
        ("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", True),
        ("Qwen-Qwen2.5-7B-Instruct", False),
        ("google-gemma-2-2b-it", False),
    ],
)
def test_template_tells_whether_it_thinks(
    model_path: Path, template: str, *, can_think: bool
) -> None:
    """A template with a place for thoughts has it whatever the model's weights are."""
    file = TEMPLATES / f"{template}.jinja"
    with opened(model_path, chat_template_file=str(file)) as llm:
        assert llm.card.can_think is can_think


def test_tools_need_jinja(model_path: Path) -> None:
    """Without it chats have no tools, and the card says so."""
    with opened(model_path, jinja=False) as llm:
        assert not llm.card.can_call


def test_generation_tells_its_tokens(model_path: Path) -> None:
    """They are as many as are counted, and their text is the answer."""
    with opened(model_path) as llm:
        generation = llm.generate("Once upon a time", stream=True, max_tokens=8)
        text = generation.result().text
        assert len(generation.tokens) == generation.usage.completion_tokens == 8
        assert llm.detokenize(generation.tokens) == text
