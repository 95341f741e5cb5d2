"""Answers in llama-cpp-python's dictionaries, of deltas made by hand."""

from __future__ import annotations

import math
from typing import Any

from pyllama.llama_cpp_answers import ChatShape, CompletionShape
from pyllama.results import Delta, TokenLogprobs

PIECES = (b"one", b" two", b"\xc3", b"\xa9")


class FakeLlama:
    """Knows four tokens."""

    def piece(self, token: int) -> bytes:
        """Return a token's bytes."""
        return PIECES[token]


LLM: Any = FakeLlama()


def deltas(*tokens: tuple[int, ...], logprob: float = -1.0) -> Any:
    """Return an answer in pieces, each of some tokens."""
    for number, group in enumerate(tokens, 1):
        yield Delta(
            text=b"".join(PIECES[token] for token in group).decode(),
            n_tokens=number,
            finish_reason="stop" if number == len(tokens) else None,
            logprobs=tuple(TokenLogprobs(token=token, logprob=logprob) for token in group),
        )


def test_offsets_go_on_from_chunk_to_chunk() -> None:
    """The offsets of a stream count from the beginning of the answer, not of the chunk."""
    shape = CompletionShape(LLM, "", has_logprobs=True)
    chunks = list(shape.chunks({}, deltas((0,), (1,), (0,))))
    assert [chunk["choices"][0]["logprobs"]["text_offset"] for chunk in chunks] == [[0], [3], [7]]


def test_parts_of_a_character_are_told_apart() -> None:
    """The two halves of a letter are two tokens, and one character of the text."""
    shape = CompletionShape(LLM, "", has_logprobs=True)
    (chunk,) = shape.chunks({}, deltas((2, 3)))
    logprobs = chunk["choices"][0]["logprobs"]
    assert logprobs["tokens"] == ["bytes:\\xc3", "bytes:\\xa9"]


def test_the_impossible_has_a_number() -> None:
    """A probability of nought becomes a number that JSON has."""
    text = CompletionShape(LLM, "", has_logprobs=True)
    (chunk,) = text.chunks({}, deltas((0,), logprob=-math.inf))
    assert chunk["choices"][0]["logprobs"]["token_logprobs"] == [-9999.0]
    _, chunk = ChatShape(LLM).chunks({}, deltas((0,), logprob=-math.inf))
    assert chunk["choices"][0]["logprobs"]["content"][0]["logprob"] == -9999.0
