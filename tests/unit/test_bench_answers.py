"""The benchmark tells answers that differ by rounding from answers that differ."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from bench import media_equal
from bench.answers import Answer, Fork, Token, ask, compare, read
from bench.client import RequestFailed
from bench.compare import WorkDiffers

YES, NO, OTHER = 1, 2, 3


def token(chosen: int, **logits: float) -> Token:
    """A token, and what is told in its place by names of tokens."""
    ids = {"yes": YES, "no": NO, "other": OTHER}
    return Token(chosen, {ids[name]: value for name, value in logits.items()})


def answer(*tokens: Token, n_prompt: int = 7) -> Answer:
    return Answer(n_prompt, tokens)


def entry(chosen: int, logprob: float, others: dict[int, float]) -> dict[str, Any]:
    top = [{"id": id_, "logprob": value} for id_, value in others.items()]
    return {"id": chosen, "logprob": logprob, "top_logprobs": top}


def test_equal_answers_have_no_fork() -> None:
    """What still differs in them is the largest difference of a logit."""
    ours = answer(token(YES, yes=-0.5, no=-1.0), token(NO, yes=-2.0, no=-0.1))
    theirs = answer(token(YES, yes=-0.5, no=-1.25), token(NO, yes=-2.125, no=-0.1))
    found = compare(ours, theirs)
    assert (found.n_same, found.fork, found.difference) == (2, None, 0.25)


def test_a_fork_is_the_first_token_that_differs() -> None:
    """It says how far its two candidates are apart, and how far the servers are."""
    same = token(YES, yes=-0.5, no=-1.0)
    ours = answer(same, token(YES, yes=-0.75, no=-0.875), token(YES, yes=-0.1))
    theirs = answer(same, token(NO, yes=-0.9375, no=-0.75), token(YES, yes=-9.0))
    found = compare(ours, theirs)
    assert found.fork == Fork(place=1, margin=0.125, distance=0.1875)
    # What follows a fork follows other tokens, so its numbers are not compared.
    assert (found.n_same, found.difference) == (1, 0.1875)


def test_a_token_that_is_not_told_counts_as_the_least_that_is() -> None:
    """A candidate that the other server holds for unlikely makes a large difference, not none."""
    ours = answer(token(YES, yes=-0.25, no=-3.0))
    theirs = answer(token(OTHER, other=-0.5, no=-2.0))
    found = compare(ours, theirs)
    assert found.fork == Fork(place=0, margin=2.75, distance=2.5)
    assert found.difference == 2.5


def test_what_is_unlikely_to_both_differs_by_nothing() -> None:
    """A token at the end of one list only is no difference if the other's list ends above it."""
    ours = answer(token(YES, yes=-0.25, no=-8.0))
    theirs = answer(token(YES, yes=-0.25, other=-7.0))
    assert compare(ours, theirs).difference == 1.0
    theirs = answer(token(YES, yes=-0.25))
    assert compare(ours, theirs).difference == 0.0


def test_an_answer_is_read_from_openais_form() -> None:
    """Ids, the prompt's length, and how far each told token is below the likeliest."""
    content = [entry(YES, -0.5, {YES: -0.5, NO: -1.0}), entry(OTHER, -3.0, {YES: -0.125})]
    whole = {"usage": {"prompt_tokens": 9}, "choices": [{"logprobs": {"content": content}}]}
    assert read(whole) == answer(
        token(YES, yes=0.0, no=-0.5), token(OTHER, yes=0.0, other=-2.875), n_prompt=9
    )


@pytest.mark.parametrize(
    ("status", "n_tokens", "message"),
    [(200, 3, "asked for 2 tokens, got 3"), (500, 2, "500: .*logprobs")],
)
def test_an_answer_that_was_not_asked_for_is_an_error(
    status: int, n_tokens: int, message: str
) -> None:
    """Too many tokens and a refusal end the run; a server that is not there does too."""
    content = [entry(YES, -0.5, {})] * n_tokens
    whole = {"usage": {"prompt_tokens": 9}, "choices": [{"logprobs": {"content": content}}]}
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(whole).encode())

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(RequestFailed, match=message):
            ask(server.server_port, [{"role": "user", "content": "Hello"}], 2)
        thread.join()
    assert (asked[0]["temperature"], asked[0]["max_tokens"]) == (0, 2)
    assert asked[0]["cache_prompt"] is False
    with pytest.raises(RequestFailed, match="broke an answer off"):
        ask(1, [], 2)


def record(servers: list[tuple[Answer, Answer]], batches: float) -> dict[str, Any]:
    """The record of a run: the servers' answers, and what other batches changed."""
    one = answer(token(YES, yes=-0.5, no=-1.0))
    moved = answer(token(YES, yes=-0.5 - batches, no=-1.0))
    ours, theirs = ([pair[side] for pair in servers] for side in (0, 1))
    return {
        "model": "m.gguf",
        "commit": "abc",
        "is_modified": False,
        "load_average": 0.5,
        "machine": {"cpu": "CPU", "n_cpus": 2},
        "settings": {"tokens": 1, "projector": "small"},
        "equal": {
            "n_prompt": [7] * len(servers),
            "n_different": len({one.ids for one in ours}),
            "servers": media_equal.pair({"a": ours, "b": theirs}, "a", "b"),
            "batches": [media_equal.pair({"a": [one], "a -ub": [moved]}, "a", "a -ub")],
            "kernels": [media_equal.pair({"own": [one], "a": [one]}, "own", "a")],
        },
    }


def test_the_table_says_whether_batches_explain_a_fork() -> None:
    """A difference as large as that of other batches is within, a larger one beyond it."""
    same = answer(token(YES, yes=-0.5, no=-1.0))
    near = (
        answer(token(YES, yes=-0.5, no=-0.5625)),
        answer(token(NO, yes=-0.5625, no=-0.5)),
    )
    far = (answer(token(YES, yes=-0.5, no=-4.0)), answer(token(NO, yes=-4.0, no=-0.5)))
    data = record([(same, same), near, far], batches=0.125)
    lines = media_equal.table(json.loads(json.dumps(data))).splitlines()
    assert "3 chats with pictures, 1 tokens each, encoder small; 1 different answers" in lines[0]
    assert "| a and b | 1 of 3 | 3.5000 |" in lines
    assert "| a and a -ub | 1 of 1 | 0.1250 |" in lines
    assert "| 1 | 0 | 0.0625 | 0.0625 | within 0.1250 |" in lines
    assert "| 2 | 0 | 3.5000 | 3.5000 | beyond 0.1250 |" in lines


def test_answers_that_are_all_equal_have_no_table_of_forks() -> None:
    """The table ends with what was compared."""
    same = answer(token(YES, yes=-0.5, no=-1.0))
    table = media_equal.table(record([(same, same)], batches=0.0))
    assert "| a and a -ub | 1 of 1 | 0.0000 |" in table
    assert table.endswith("| own and a | 1 of 1 | 0.0000 |")
    assert "goes apart" not in table


def test_prompts_of_other_lengths_are_not_compared() -> None:
    """Answers to other prompts say nothing of each other: the run ends with the counts."""
    one, other = answer(token(YES, yes=0.0)), answer(token(YES, yes=0.0), n_prompt=8)
    media_equal.check_same_prompts({"a": [one, one], "b": [one, one]})
    with pytest.raises(WorkDiffers, match=r"prompt 1 .*'a': 7, 'b': 8"):
        media_equal.check_same_prompts({"a": [one, one], "b": [one, other]})
