"""Whether two servers give the same greedy answers, and how far the logits behind them differ."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.client import RequestFailed

_TIMEOUT_S = 300.0
# Log probabilities that a server tells in every token's place.
_N_TOP = 20


@dataclass(frozen=True, slots=True)
class Token:
    """A token of an answer."""

    id: int
    logits: Mapping[int, float]
    """Those of the likeliest tokens in its place and of itself, by id, above the highest of them.

    So they are free of what the servers add to all of them: how each rounds a sum of exponentials.
    """

    @property
    def least(self) -> float:
        """The least logit that is told."""
        return min(self.logits.values())


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered to a prompt."""

    n_prompt: int
    """Prompt tokens, as the server counted them."""
    tokens: tuple[Token, ...]

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of its tokens."""
        return tuple(token.id for token in self.tokens)


@dataclass(frozen=True, slots=True)
class Fork:
    """The first place where two answers go apart."""

    place: int
    """Tokens that are the same before it."""
    margin: float
    """How far the logit of the first server's token is above that of the other's, at the first."""
    distance: float
    """How far the servers' logits of these two tokens differ, the larger of the two."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two answers to one prompt, side by side."""

    n_same: int
    """Tokens from the beginning that are the same."""
    fork: Fork | None
    difference: float
    """The largest difference of a logit after the same tokens."""

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return asdict(self)


def ask(port: int, messages: Sequence[Mapping[str, Any]], n_tokens: int) -> Answer:
    """Return a greedy answer of ``n_tokens`` tokens, computed without the prompt cache.

    Raises:
        RequestFailed: the server refused, or answered with something else.
    """
    body = {
        "messages": messages,
        "max_tokens": n_tokens,
        "temperature": 0,
        "ignore_eos": True,
        "cache_prompt": False,
        "logprobs": True,
        "top_logprobs": _N_TOP,
    }
    answer = read(_post(port, "/v1/chat/completions", body))
    if len(answer.tokens) != n_tokens:
        raise RequestFailed(f"asked for {n_tokens} tokens, got {len(answer.tokens)}")
    return answer


def read(answer: Mapping[str, Any]) -> Answer:
    """Read the JSON of an answer."""
    return Answer(
        answer["usage"]["prompt_tokens"],
        tuple(_token(entry) for entry in answer["choices"][0]["logprobs"]["content"]),
    )


def compare(ours: Answer, theirs: Answer) -> Comparison:
    """Compare two answers of the same length to the same prompt."""
    pairs = list(zip(ours.tokens, theirs.tokens, strict=True))
    n_same = next((i for i, (a, b) in enumerate(pairs) if a.id != b.id), len(pairs))
    # At the fork itself what was said before is still the same.
    difference = max(_difference(a, b) for a, b in pairs[: n_same + 1])
    fork = _fork(n_same, *pairs[n_same]) if n_same < len(pairs) else None
    return Comparison(n_same, fork, difference)


def _token(entry: Mapping[str, Any]) -> Token:
    told = {item["id"]: item["logprob"] for item in (*entry["top_logprobs"], entry)}
    highest = max(told.values())
    return Token(entry["id"], {token: logprob - highest for token, logprob in told.items()})


def _fork(place: int, ours: Token, theirs: Token) -> Fork:
    distance = max(_distance(ours, theirs, token) for token in (ours.id, theirs.id))
    margin = ours.logits[ours.id] - ours.logits.get(theirs.id, ours.least)
    return Fork(place, margin, distance)


def _difference(ours: Token, theirs: Token) -> float:
    tokens = ours.logits.keys() | theirs.logits.keys()
    return max(_distance(ours, theirs, token) for token in tokens)


def _distance(ours: Token, theirs: Token, token: int) -> float:
    """Return how far two servers' logits of a token differ, at least."""
    if token in ours.logits and token in theirs.logits:
        return abs(ours.logits[token] - theirs.logits[token])
    known, other = (ours, theirs) if token in ours.logits else (theirs, ours)
    # What is not told is not above the least that is.
    return max(0.0, known.logits[token] - other.least)


def _post(port: int, path: str, body: Mapping[str, Any]) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        data = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise RequestFailed(f"the server broke an answer off: {error!r}") from error
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        text = data[:500].decode("utf-8", "replace")
        raise RequestFailed(f"{response.status}: {text}")
    return json.loads(data)
