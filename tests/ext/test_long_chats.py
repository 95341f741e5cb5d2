"""Four times as many messages, parts or calls take about four times as long, not sixteen."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyllama._ext.model import Model
from pyllama._ext.vocab import Vocab
from pyllama.errors import TooLarge
from pyllama.interruption import Interruptible
from pyllama.text import ChatOptions, ChatPrompts

FOLDER = Path(__file__).parents[2] / "vendor" / "llama.cpp" / "models" / "templates"
TEMPLATES = (
    "Mistral-Small-3.2-24B-Instruct-2506",
    "Qwen-Qwen3-0.6B",
    "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B",
    "google-gemma-2-2b-it",
    "meta-llama-Llama-3.1-8B-Instruct",
)

Message = dict[str, Any]


def turns(n: int) -> list[Message]:
    roles = ("user", "assistant")
    return [{"role": roles[index % 2], "content": f"hello {index}"} for index in range(n + 1)]


def calls(n: int) -> list[Message]:
    messages: list[Message] = [{"role": "user", "content": "Go"}]
    for index in range(n // 2):
        name = f"call{index:05}"
        call = {
            "id": name,
            "type": "function",
            "function": {"name": "get", "arguments": '{"a": 1}'},
        }
        messages += [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": name, "name": "get", "content": "20"},
        ]
    return messages


def parts(n: int) -> list[Message]:
    return [{"role": "user", "content": [{"type": "text", "text": "a part"}] * n}]


KINDS: dict[str, Callable[[int], list[Message]]] = {"turns": turns, "calls": calls, "parts": parts}


def growth(work: Callable[[int], Any], n: int) -> float:
    """Return how many times as long four times the work takes; the processor's time counts."""

    def best_s(size: int, n_runs: int) -> float:
        taken = []
        for _ in range(n_runs):
            start_s = time.thread_time()
            work(size)
            taken.append(time.thread_time() - start_s)
        return min(taken)

    work(8)  # what is made once
    return best_s(4 * n, 2) / best_s(n, 3)


@pytest.fixture(scope="module", params=TEMPLATES)
def chat(request: pytest.FixtureRequest, model: Model) -> ChatPrompts:
    source = (FOLDER / f"{request.param}.jinja").read_text(encoding="utf-8")
    return ChatPrompts(model, Vocab(model), template=source)


@pytest.mark.parametrize("kind", KINDS)
def test_prompt_grows_with_its_messages(chat: ChatPrompts, kind: str) -> None:
    """Rendering and tokenising are linear under templates that loop in many ways."""
    if kind == "calls" and not chat.template.caps["supports_tool_calls"]:
        pytest.skip("the template takes no results of calls")
    make = KINDS[kind]
    n = 1000 if kind == "parts" else 200
    assert growth(lambda size: chat.prompt(make(size), ChatOptions()), n) < 7


def test_template_that_takes_the_square_is_ended(model: Model) -> None:
    """A loop within the loop over messages is the template's own: then the limit counts."""
    source = "{% for a in messages %}{% for b in messages %}{{ b.role }}{% endfor %}{% endfor %}"
    chat = ChatPrompts(model, Vocab(model), template=source)
    with pytest.raises(TooLarge), Interruptible(lambda: None, limit_s=0.5):
        chat.prompt(turns(20_000), ChatOptions())


def test_tokens_grow_with_special_tokens(vocab: Vocab) -> None:
    """Each special token that a text holds costs the same, however many came before it."""
    turn = "<|im_start|>a<|im_end|>"
    assert growth(lambda n: vocab.tokenize(turn * n, parse_special=True), 10_000) < 7


@pytest.mark.parametrize("text", ["word ", "x", " ", "\n", "1", "<"])
def test_tokens_grow_with_a_text(vocab: Vocab, text: str) -> None:
    """The same holds for a text without any, of words or of one very long one."""
    assert growth(lambda n: vocab.tokenize(text * n, parse_special=True), 30_000) < 7


def test_special_tokens_are_where_they_were(vocab: Vocab) -> None:
    """Fragments around special tokens come in order: nested, adjacent, at both ends."""
    pieces = ["<|im_end|>", "a b", "<|im_start|>", "<|im_start|>", "c", "<|im_end|>", "<|im_", "d"]
    tokens = vocab.tokenize("".join(pieces), parse_special=True)
    assert vocab.detokenize(tokens, special=True).decode() == "".join(pieces)
    start, end = (vocab.tokenize(name, parse_special=True) for name in pieces[2::-2])
    expected = [*end, *vocab.tokenize("a b"), *start, *start, *vocab.tokenize("c"), *end]
    assert tokens == [*expected, *vocab.tokenize("<|im_d")]
