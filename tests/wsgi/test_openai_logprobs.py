"""Log probabilities: what is asked of the engine, and OpenAI's two forms of them."""

from __future__ import annotations

import math
from typing import Any

import httpx
import pytest

from pyllama.openai_logprobs import ChatLogprobs, TextLogprobs
from pyllama.params import GenerationParams
from pyllama.results import TokenLogprobs
from tests.support.fake_generation import FIRST_TOKEN
from tests.support.fake_llama import FakeLlama

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
MESSAGES = [{"role": "user", "content": "Hi"}]

# A token of each kind: a letter, both halves of é, a control token.
PIECES = {1: b"a", 2: b"\xc3", 3: b"\xa9", 4: b"<s>", 5: b" b"}


def params(llm: FakeLlama) -> GenerationParams:
    return llm.generations[-1].params


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({}, None),
        ({"logprobs": False}, None),
        ({"logprobs": False, "n_probs": 0}, None),
        ({"logprobs": True}, 0),
        ({"logprobs": True, "top_logprobs": 4}, 4),
        ({"logprobs": True, "n_probs": 4}, 4),
        ({"n_probs": 2}, 2),
    ],
)
def test_chat_asks_for_as_many_as_wanted(
    client: httpx.Client, llm: FakeLlama, body: dict[str, Any], asked: int | None
) -> None:
    """OpenAI's pair of fields and llama-server's one ask for the same."""
    answer = client.post(CHAT, json={"messages": MESSAGES, **body}).json()
    assert params(llm).logprobs == asked
    assert (answer["choices"][0]["logprobs"] is None) == (asked is None)


@pytest.mark.parametrize(
    ("body", "asked", "of_prompt"),
    [
        ({}, None, None),
        ({"echo": True}, None, None),
        ({"logprobs": 0}, 0, None),
        ({"n_probs": 3}, 3, None),
        ({"n_probs": 0}, None, None),
        ({"logprobs": 2, "echo": True}, 2, 2),
        ({"echo": True, "max_tokens": 0}, None, 0),
        ({"best_of": 2}, 0, None),
    ],
)
def test_text_asks_for_as_many_as_wanted(
    client: httpx.Client,
    llm: FakeLlama,
    body: dict[str, Any],
    asked: int | None,
    of_prompt: int | None,
) -> None:
    """Those of the prompt are wanted with echo only; the best answers are chosen by their own."""
    assert client.post(TEXT, json={"prompt": "ab", **body}).status_code == 200
    assert params(llm).logprobs == asked
    assert params(llm).prompt_logprobs == of_prompt


@pytest.mark.parametrize(
    ("url", "body", "param"),
    [
        (CHAT, {"top_logprobs": 3}, "top_logprobs"),
        (CHAT, {"logprobs": False, "top_logprobs": 3}, "top_logprobs"),
        (CHAT, {"logprobs": 3}, "logprobs"),
        (CHAT, {"logprobs": True, "top_logprobs": 1001}, "top_logprobs"),
        (CHAT, {"logprobs": True, "top_logprobs": 1, "n_probs": 2}, "top_logprobs"),
        (TEXT, {"logprobs": True}, "logprobs"),
        (TEXT, {"logprobs": -1}, "logprobs"),
        (TEXT, {"logprobs": 1, "n_probs": 2}, "logprobs"),
    ],
)
def test_numbers_that_cannot_be_are_refused(
    client: httpx.Client, url: str, body: dict[str, Any], param: str
) -> None:
    """A number without the switch, out of range, or at odds with another is a bad request."""
    response = client.post(url, json={"messages": MESSAGES, "prompt": "a", **body})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


def test_chat_lists_each_token(client: httpx.Client) -> None:
    """A chat has a token's text and bytes, its log probability, and those of the likeliest."""
    body = {"messages": MESSAGES, "logprobs": True, "top_logprobs": 1}
    choice = client.post(CHAT, json=body).json()["choices"][0]
    first, second = choice["logprobs"]["content"]
    assert choice["logprobs"]["refusal"] is None
    assert first == {
        "id": FIRST_TOKEN,
        "token": "Hel",
        "bytes": [72, 101, 108],
        "logprob": -FIRST_TOKEN / 1024,
        "top_logprobs": [{"id": 97, "token": "a", "bytes": [97], "logprob": -0.125}],
    }
    assert second["bytes"] == [108, 111]


def test_part_of_a_character_has_its_bytes() -> None:
    """Half a character is U+FFFD as text, and itself as bytes."""
    (entry,) = ChatLogprobs(PIECES.__getitem__).write([TokenLogprobs(token=2, logprob=-1.0)])[
        "content"
    ]
    assert (entry["token"], entry["bytes"]) == ("\ufffd", [0xC3])


def test_impossible_tokens_have_a_number() -> None:
    """Minus infinity, which JSON does not know, is OpenAI's -9999."""
    never = TokenLogprobs(token=1, logprob=-math.inf, top=((5, -math.inf),))
    (entry,) = ChatLogprobs(PIECES.__getitem__).write([never])["content"]
    assert entry["logprob"] == entry["top_logprobs"][0]["logprob"] == -9999.0
    text = TextLogprobs(PIECES.__getitem__).write([never])
    assert text["token_logprobs"] == [-9999.0]
    assert text["top_logprobs"] == [{" b": -9999.0, "a": -9999.0}]


def test_text_lists_tokens_beside_each_other() -> None:
    """Texts have parallel lists; offsets count characters, and a half one has a spelling."""
    tokens = [TokenLogprobs(token=token, logprob=-token / 2) for token in (1, 2, 3, 5)]
    assert TextLogprobs(PIECES.__getitem__).write(tokens) == {
        "tokens": ["a", "bytes:\\xc3", "bytes:\\xa9", " b"],
        "token_logprobs": [-0.5, -1.0, -1.5, -2.5],
        "top_logprobs": [
            {"a": -0.5},
            {"bytes:\\xc3": -1.0},
            {"bytes:\\xa9": -1.5},
            {" b": -2.5},
        ],
        "text_offset": [0, 1, 1, 2],
    }


def test_offsets_follow_the_text_that_the_choice_has() -> None:
    """A BOS that stands before the prompt, but not in its text, moves no offset."""
    writer = TextLogprobs(PIECES.__getitem__)
    prompt = writer.prompt("a b", [4, 1, 5], [TokenLogprobs(token=t, logprob=-1.0) for t in (1, 5)])
    assert prompt["tokens"] == ["<s>", "a", " b"]
    assert prompt["token_logprobs"] == [None, -1.0, -1.0]
    assert prompt["top_logprobs"][0] is None
    assert prompt["text_offset"] == [0, 0, 1]
    assert writer.write([TokenLogprobs(token=5, logprob=-1.0)])["text_offset"] == [3]


def test_echo_scores_the_prompt(client: httpx.Client) -> None:
    """With echo the prompt's tokens come first, the first of them without a number."""
    body = {"prompt": "abc", "echo": True, "logprobs": 1}
    choice = client.post(TEXT, json=body).json()["choices"][0]
    assert choice["text"] == "abcHello"
    assert choice["logprobs"] == {
        "tokens": ["a", "b", "c", "Hel", "lo"],
        "token_logprobs": [
            None,
            -98 / 1024,
            -99 / 1024,
            -FIRST_TOKEN / 1024,
            -(FIRST_TOKEN + 1) / 1024,
        ],
        "top_logprobs": [
            None,
            {"a": -0.125, "b": -98 / 1024},
            {"a": -0.125, "c": -99 / 1024},
            {"a": -0.125, "Hel": -FIRST_TOKEN / 1024},
            {"a": -0.125, "lo": -(FIRST_TOKEN + 1) / 1024},
        ],
        "text_offset": [0, 1, 2, 3, 6],
    }
