"""What one request may ask for: sampling and generation parameters, frozen and validated."""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from pyllama import option_values
from pyllama.errors import InvalidRequest, UnknownOption
from pyllama.option_values import DEFAULT_BREAKERS, DEFAULT_SAMPLERS, FLOAT_MAX

# Beyond this a penalty makes logits of which 32 bits hold no difference any more.
_MAX_PENALTY = 1e6
# Most tokens whose log probabilities are told at one place.
_MAX_LOGPROBS = 1000

MAX_STOPS = 256
"""Most stop strings of a request."""

MAX_STOP_LENGTH = 1000
"""Most characters of a stop string."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingParams:
    """Parameters of the sampler chain, in llama.cpp's names and meaning.

    Source: ``common_params_sampling`` in common/common.h. The defaults are greedy decoding.
    """

    temperature: float = 0.0
    """At or below 0: the most likely token (greedy)."""
    top_k: int = 0
    """Keep the k most likely tokens; 0 keeps all."""
    top_p: float = 1.0
    """Keep the smallest set with this cumulative probability; 1.0 keeps all."""
    min_p: float = 0.0
    """Drop tokens less likely than this fraction of the best one."""
    typical_p: float = 1.0
    top_n_sigma: float = -1.0
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    dynatemp_range: float = 0.0
    dynatemp_exponent: float = 1.0
    repeat_last_n: int = 64
    """Tokens that the penalties look back on; 0 turns them off, -1 means the context."""
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_penalty_last_n: int = 64
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    seed: int = -1
    """Seed of the random sampler; -1 draws one."""
    min_keep: int = 0
    ignore_eos: bool = False
    """Never sample an end-of-generation token."""
    samplers: tuple[str, ...] = DEFAULT_SAMPLERS
    """The links of the chain, in their order; a parameter whose sampler is missing does nothing."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """Token ids and what is added to their logits; minus infinity bans a token."""
    dry_sequence_breakers: tuple[str, ...] = DEFAULT_BREAKERS
    """Texts at which a repetition ends, for DRY."""
    adaptive_target: float = -1.0
    """Probability of the tokens that the sampler ``adaptive_p`` prefers; below 0 it is off."""
    adaptive_decay: float = 0.9

    def __post_init__(self) -> None:
        """Refuse values that no sampler can honour."""
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise InvalidRequest(f"{item.name} must be finite, not {value}", param=item.name)
            if isinstance(value, float):
                _within(self, item.name, -FLOAT_MAX, FLOAT_MAX)
            elif isinstance(value, int) and item.name != "seed":
                _within(self, item.name, -(2**31), 2**31 - 1)
        _at_least(self, "top_k", -1)
        _within(self, "top_p", 0.0, 1.0)
        _within(self, "min_p", 0.0, 1.0)
        _at_least(self, "repeat_last_n", -1)
        _at_least(self, "dry_penalty_last_n", -1)
        _at_least(self, "min_keep", 0)
        # llama.cpp turns the sampler off below 1 without a word.
        _at_least(self, "dry_base", 1.0)
        _within(self, "dry_multiplier", 0.0, _MAX_PENALTY)
        _within(self, "presence_penalty", -_MAX_PENALTY, _MAX_PENALTY)
        _within(self, "frequency_penalty", -_MAX_PENALTY, _MAX_PENALTY)
        _within(self, "mirostat", 0, 2)
        _within(self, "adaptive_target", -FLOAT_MAX, 1.0)
        _within(self, "adaptive_decay", 0.0, 0.99)
        _within(self, "seed", -1, 2**32 - 1)
        if self.repeat_penalty <= 0:
            raise InvalidRequest(
                f"repeat_penalty must be above 0, not {self.repeat_penalty}", param="repeat_penalty"
            )
        _within(self, "repeat_penalty", 1 / _MAX_PENALTY, _MAX_PENALTY)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationParams:
    """All that one request asks of the engine, beside its prompt."""

    sampling: SamplingParams = field(default_factory=SamplingParams)
    max_tokens: int = 200
    """Most tokens to generate; -1 means up to the end of the context."""
    stop: tuple[str, ...] = ()
    """Strings that end the text; the text is cut before the first that occurs."""
    cache_prompt: bool = True
    """Reuse KV cells that a slot still holds for a common prefix."""

    logprobs: int | None = None
    """Tell the log probability of each generated token, and of this many of the likeliest ones at
    its place; None tells nothing."""
    prompt_logprobs: int | None = None
    """The same for each prompt token but the first. Such a prompt is computed as a whole."""
    post_sampling_probs: bool = False
    """Whether ``logprobs`` tells what the samplers left of the probabilities, not the model's."""

    def __post_init__(self) -> None:
        """Refuse values that the scheduler cannot honour."""
        _at_least(self, "max_tokens", -1)
        if any(not text for text in self.stop):
            raise InvalidRequest("stop strings must not be empty", param="stop")
        # All of them are looked for after each token.
        if len(self.stop) > MAX_STOPS:
            raise InvalidRequest(
                f"stop has {len(self.stop)} strings, more than {MAX_STOPS}", param="stop"
            )
        if any(len(text) > MAX_STOP_LENGTH for text in self.stop):
            raise InvalidRequest(
                f"stop strings must have at most {MAX_STOP_LENGTH} characters", param="stop"
            )
        for name in ("logprobs", "prompt_logprobs"):
            if getattr(self, name) is not None:
                _within(self, name, 0, _MAX_LOGPROBS)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return every option name that :meth:`with_options` takes, sorted."""
        own = {item.name for item in fields(cls)} - {"sampling"}
        return tuple(sorted(own | {item.name for item in fields(SamplingParams)}))

    def with_options(self, **options: Any) -> GenerationParams:
        """Return a copy with some options changed, by their flat names.

        Raises:
            UnknownOption: a name does not exist; the message names the nearest one.
            InvalidRequest: a value is out of range or of the wrong type.
        """
        own: dict[str, Any] = {}
        sampling: dict[str, Any] = {}
        for name, value in options.items():
            target = sampling if name in SAMPLING_TYPES else own
            target[name] = _coerce(name, value)
        return replace(self, sampling=replace(self.sampling, **sampling), **own)

    def as_dict(self) -> dict[str, Any]:
        """Return the parameters flat, by the names that :meth:`with_options` takes.

        The values are those of JSON: a tuple is a list, and a ban in ``logit_bias`` is false.
        """
        # Not dataclasses.asdict, which copies every value: this is asked for each request.
        values = {name: getattr(self.sampling, name) for name in SAMPLING_TYPES}
        values |= {name: getattr(self, name) for name in _OWN}
        flat = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }
        flat["logit_bias"] = [
            [token, bias if math.isfinite(bias) else False]
            for token, bias in self.sampling.logit_bias
        ]
        return flat


SAMPLING_TYPES: dict[str, type] = {item.name: type(item.default) for item in fields(SamplingParams)}
_OWN: dict[str, Callable[[str, Any], Any]] = {
    "max_tokens": functools.partial(option_values.scalar, wanted=int),
    "stop": option_values.strings,
    "cache_prompt": functools.partial(option_values.scalar, wanted=bool),
    "logprobs": option_values.count,
    "prompt_logprobs": option_values.count,
    "post_sampling_probs": functools.partial(option_values.scalar, wanted=bool),
}
_READERS: dict[str, Callable[[str, Any], Any]] = {
    **{
        name: functools.partial(option_values.scalar, wanted=wanted)
        for name, wanted in SAMPLING_TYPES.items()
    },
    "samplers": option_values.sampler_names,
    "logit_bias": option_values.biases,
    "dry_sequence_breakers": option_values.sequence_breakers,
    **_OWN,
}

# Names that other libraries use for the same thing, so that the error can name ours.
_ALIASES = {
    "n_predict": "max_tokens",
    "num_predict": "max_tokens",
    "max_new_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "temp": "temperature",
    "repetition_penalty": "repeat_penalty",
    "stop_sequences": "stop",
    "n_probs": "logprobs",
    "top_logprobs": "logprobs",
    "echo": "prompt_logprobs",
}


def _coerce(name: str, value: Any) -> Any:
    if name not in _READERS:
        raise UnknownOption(unknown_option(name, GenerationParams.names(), _ALIASES))
    return _READERS[name](name, value)


def unknown_option(name: str, known: tuple[str, ...], aliases: dict[str, str]) -> str:
    """Return the message for an option that does not exist, naming the nearest that does."""
    near = aliases.get(name) or next(iter(difflib.get_close_matches(name, known, 1, 0.5)), None)
    hint = f"; did you mean {near!r}?" if near else f"; the options are {', '.join(known)}"
    return f"unknown option {name!r}{hint}"


def _at_least(params: Any, name: str, low: float) -> None:
    value = getattr(params, name)
    if value < low:
        raise InvalidRequest(f"{name} must be at least {low}, not {value}", param=name)


def _within(params: Any, name: str, low: float, high: float) -> None:
    value = getattr(params, name)
    if not low <= value <= high:
        raise InvalidRequest(f"{name} must be within {low} and {high}, not {value}", param=name)
