"""Several answers to one request, the best of them, and several prompts in one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from pyllama.errors import InvalidRequest
from pyllama.results import TokenLogprobs
from tests.support.fake_generation import FakeGeneration, FakeGenerations
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import ClientOf

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
MESSAGES = [{"role": "user", "content": "Hi"}]


def seeds(llm: FakeLlama) -> list[int]:
    """Return the seeds of all answers."""
    return [generation.params.sampling.seed for generation in llm.generations]


@pytest.mark.parametrize("name", ["n", "n_cmpl"])
@pytest.mark.parametrize(
    ("url", "source"), [(CHAT, {"messages": MESSAGES}), (TEXT, {"prompt": "a"})]
)
def test_n_answers_have_seeds_that_count_up(
    client: httpx.Client, llm: FakeLlama, url: str, source: dict[str, Any], name: str
) -> None:
    """Every answer is one choice, sampled with a seed of its own; the prompt counts once."""
    answer = client.post(url, json=source | {name: 3, "seed": 7}).json()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert seeds(llm) == [7, 8, 9]
    assert answer["usage"]["prompt_tokens"] == 1
    assert answer["usage"]["completion_tokens"] == 6


def test_drawn_seeds_stay_drawn(client: httpx.Client, llm: FakeLlama) -> None:
    """Without a seed each answer draws its own; the largest is followed by the smallest."""
    client.post(TEXT, json={"prompt": "a", "n": 2})
    client.post(TEXT, json={"prompt": "a", "n": 2, "seed": 2**32 - 2})
    assert seeds(llm) == [-1, -1, 2**32 - 2, 0]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"n": 2, "n_cmpl": 3}, "n"),
        ({"n": 3, "best_of": 2}, "best_of"),
        ({"best_of": 2, "stream": True}, "best_of"),
        ({"prompt": ["a"] * 1025}, "prompt"),
        ({"prompt": ["a"] * 600, "n": 2}, "prompt"),
        ({"prompt": ["a", ""]}, "prompt[1]"),
        ({"echo": True, "suffix": "b"}, "echo"),
    ],
)
def test_numbers_that_cannot_be_are_refused(
    client: httpx.Client, llm: FakeLlama, body: dict[str, Any], param: str
) -> None:
    """Too few, too many, and numbers that contradict each other are refused by their field."""
    response = client.post(TEXT, json={"prompt": "a", **body})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
    assert llm.generations == []


def test_prompts_get_their_choices_in_order(client: httpx.Client, llm: FakeLlama) -> None:
    """Texts and token ids may stand side by side; each gets its n choices, one after the other."""
    answer = client.post(
        TEXT, json={"prompt": ["abc", [100, 101]], "n": 2, "echo": True, "seed": 1}
    ).json()
    texts = [choice["text"] for choice in answer["choices"]]
    assert texts == ["abcHello", "abcHello", "deHello", "deHello"]
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert seeds(llm) == [1, 2, 1, 2]
    assert answer["usage"]["prompt_tokens"] == 5


class Varied(FakeLlama):
    """Answers each time with another text, likelier or less."""

    ANSWERS = (("bad", -3.0), ("best", -0.1), ("", None), ("good", -0.5))

    def start_all(self, wanted: Any, *, request_id: str | None = None) -> FakeGenerations:
        made = []
        for number, (prompt, asked) in enumerate(wanted):
            text, logprob = self.ANSWERS[number % len(self.ANSWERS)]
            generation = FakeGeneration(prompt, asked, [text], request_id or "")
            assert generation.params.logprobs is not None
            generation.fixed_logprobs = (
                () if logprob is None else (TokenLogprobs(token=97, logprob=logprob),)
            )
            made.append(generation)
        return FakeGenerations(made)


def test_the_best_are_the_likeliest(connect: ClientOf) -> None:
    """The answers with the best mean log probability are returned, best first; all are counted."""
    client = connect(Varied())
    body = {"prompt": ["a", "b"], "best_of": 4, "n": 2}
    answer = client.post(TEXT, json=body).json()
    assert [choice["text"] for choice in answer["choices"]] == ["best", "good"] * 2
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert [choice["logprobs"] for choice in answer["choices"]] == [None] * 4
    assert answer["usage"]["completion_tokens"] == 8


def test_suffix_asks_for_the_middle(client: httpx.Client, llm: FakeLlama) -> None:
    """With a suffix the prompt is what comes before; an empty one is none."""
    client.post(TEXT, json={"prompt": "def f():", "suffix": "return x"})
    client.post(TEXT, json={"prompt": "abc", "suffix": ""})
    middle, plain = llm.generations
    assert middle.prompt.source == ("def f():", "return x")
    assert plain.prompt.source == "abc"


def test_model_that_cannot_fill_in_says_so(connect: ClientOf) -> None:
    """The refusal names the field, for one prompt and for several."""

    class Plain(FakeLlama):
        def infill_prompt(self, prefix: Any, suffix: Any, **_options: Any) -> Any:
            raise InvalidRequest("suffix is not supported", param="suffix")

    for prompt in ("a", ["a", "b"]):
        response = connect(Plain()).post(TEXT, json={"prompt": prompt, "suffix": "b"})
        assert response.status_code == 400
        assert response.json()["error"]["param"] == "suffix"


def test_forms_of_texts_reach_the_library(client: httpx.Client, llm: FakeLlama) -> None:
    """A text completion may be held to a schema or a grammar."""
    client.post(TEXT, json={"prompt": "a", "json_schema": {"type": "object"}})
    client.post(TEXT, json={"prompt": "a", "grammar": "root ::= [a]"})
    assert [generation.prompt.options for generation in llm.generations] == [
        {"json_schema": {"type": "object"}},
        {"grammar": "root ::= [a]"},
    ]
