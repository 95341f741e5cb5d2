"""What the bodies of chat and text completions have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest
from pyllama.field_names import caller_names, one_of, spelled
from pyllama.params import GenerationParams

from ..fields import whole
from ..streaming import PING_S
from .logit_bias import read_logit_bias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyllama import Llama

# What these fields mean depends on the route or the vocabulary.
_READ_APART = {"logit_bias", "logprobs", "prompt_logprobs"}
_OPTIONS = frozenset(GenerationParams.names()) - _READ_APART

_SPELLINGS = {"max_tokens": ("max_tokens", "max_completion_tokens", "n_predict")}
_COUNTS = ("n", "n_cmpl")

# The seed above asks llama.cpp to draw one.
_N_SEEDS = 2**32 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationFields:
    """What both routes share."""

    params: GenerationParams
    names: Mapping[str, str]
    """From paths in what is made of the body to paths in the body."""
    n: int
    """Answers to each prompt."""
    logprobs: int | None
    """How many of the likeliest tokens the answer lists at each place; None: no log
    probabilities."""
    stream: bool
    include_usage: bool
    """Whether a stream ends with a chunk that has the usage."""
    timings_per_token: bool
    """Whether each chunk of a stream has the timings so far."""
    ping_s: float
    """Seconds of silence after which a stream sends a comment."""


def generation_fields(
    fields: Mapping[str, Any], llm: Llama, logprobs: int | None
) -> dict[str, Any]:
    """Return what a body says of :class:`GenerationFields`, by their names.

    Raises:
        InvalidRequest: a value is none that can be honoured.
    """
    given, names = spelled(fields, _SPELLINGS)
    given |= {name: fields[name] for name in (fields.keys() & _OPTIONS) - given.keys()}
    options = {name: whole(value) for name, value in given.items()}
    if fields.get("logit_bias"):
        options["logit_bias"] = read_logit_bias(fields["logit_bias"], llm)
    if logprobs is not None:
        options["logprobs"] = logprobs
    with caller_names(names):
        params = llm.defaults.with_options(**options)
    ping_s = fields.get("sse_ping_interval", PING_S)
    return {
        "params": params,
        "names": names,
        "n": int(one_of(fields, _COUNTS) or 1),
        "logprobs": logprobs,
        "stream": fields.get("stream", False),
        "include_usage": bool(fields.get("stream_options", {}).get("include_usage")),
        "timings_per_token": fields.get("timings_per_token", False),
        "ping_s": ping_s if ping_s > 0 else math.inf,
    }


def constraint_options(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a body says of the form of the answer, by the names of ``Llama.chat_prompt``."""
    options = {}
    if "json_schema" in fields:
        options["json_schema"] = fields["json_schema"]
    if fields.get("grammar"):
        options["grammar"] = fields["grammar"]
    if len(options) > 1:
        raise InvalidRequest(
            "grammar and json_schema exclude each other; send one of them", param="grammar"
        )
    return options


def seeded(params: GenerationParams, n: int) -> list[GenerationParams]:
    """Return the parameters of each of n answers: a given seed counts up, so that they differ."""
    seed = params.sampling.seed
    if seed < 0 or n == 1:
        return [params] * n
    return [params.with_options(seed=(seed + i) % _N_SEEDS) for i in range(n)]
