"""Values of generation options as clients write them, turned into what the parameters hold.

Imported by :mod:`pyllama.params` only.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from typing import Any

from pyllama.errors import InvalidRequest

# llama.cpp computes with 32 bits: the largest number that is finite there.
FLOAT_MAX = 3.4028234e38

# Samplers by llama.cpp's names, in its order, and the letters that stand for them in a sequence.
# Its "infill" is left out: it compares all pairs of candidates, which takes minutes a token.
_LETTERS = {
    "e": "penalties",
    "d": "dry",
    "s": "top_n_sigma",
    "k": "top_k",
    "y": "typ_p",
    "p": "top_p",
    "m": "min_p",
    "x": "xtc",
    "t": "temperature",
    "a": "adaptive_p",
}
DEFAULT_SAMPLERS = tuple(name for name in _LETTERS.values() if name != "adaptive_p")
_SPELLINGS = {"temp": "temperature", "typical_p": "typ_p", "typ": "typ_p", "nucleus": "top_p"}
_MAX_SAMPLERS = 32
DEFAULT_BREAKERS = ("\n", ":", '"', "*")
_MAX_BREAKERS = 32
# llama.cpp cuts a longer one.
_MAX_BREAKER_BYTES = 40
_MAX_BIAS = 1e6


def sampler_names(name: str, value: Any) -> tuple[str, ...]:
    """Return canonical sampler names.

    Args:
        name: the option's name.
        value: a list of names; a string of names with semicolons between; or a string of letters,
            llama.cpp's "sampler sequence".
    """
    if isinstance(value, str):
        is_sequence = bool(value) and set(value) <= _LETTERS.keys()
        value = [_LETTERS[letter] for letter in value] if is_sequence else value.split(";")
    found = tuple(_sampler(name, spelling) for spelling in strings(name, value))
    if len(found) > _MAX_SAMPLERS:
        raise InvalidRequest(f"{name} must not hold more than {_MAX_SAMPLERS} names", param=name)
    return found


def _sampler(name: str, spelling: str) -> str:
    known = _LETTERS.values()
    canonical = spelling.lower().replace("-", "_")
    canonical = _SPELLINGS.get(canonical, canonical)
    if canonical not in known:
        near = difflib.get_close_matches(canonical, known, 1, 0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise InvalidRequest(f"{name}: unknown sampler {spelling[:40]!r}; {hint}", param=name)
    return canonical


def sequence_breakers(name: str, value: Any) -> tuple[str, ...]:
    """Return texts at which a repetition ends, for DRY."""
    texts = strings(name, value)
    if len(texts) > _MAX_BREAKERS:
        raise InvalidRequest(f"{name} must not hold more than {_MAX_BREAKERS} strings", param=name)
    for text in texts:
        n_bytes = len(text.encode("utf-8", "replace"))
        if not 1 <= n_bytes <= _MAX_BREAKER_BYTES or "\0" in text:
            raise InvalidRequest(
                f"{name}: a string must have 1 to {_MAX_BREAKER_BYTES} bytes and none of them zero",
                param=name,
            )
    return texts


def biases(name: str, value: Any) -> tuple[tuple[int, float], ...]:
    """Return biases by token id, in ascending order, each id once; biases of one id add up.

    Args:
        name: the option's name.
        value: a mapping of token ids, as integers or decimal strings, or a list of pairs; a bias
            is a number, and false or minus infinity bans the token.
    """
    pairs = value.items() if isinstance(value, Mapping) else [] if value is None else value
    totals: dict[int, float] = {}
    if isinstance(pairs, (str, bytes)):
        raise InvalidRequest(f"{name} must map token ids to biases", param=name)
    try:
        for token, bias in pairs:
            number = _token_id(name, token)
            totals[number] = totals.get(number, 0.0) + _bias(name, bias)
    except (TypeError, ValueError) as error:
        if isinstance(error, InvalidRequest):
            raise
        raise InvalidRequest(f"{name} must map token ids to biases", param=name) from error
    return tuple(sorted(totals.items()))


def _token_id(name: str, value: Any) -> int:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) < 11:
        value, is_number = int(value), True
    if not is_number or not 0 <= value < 2**31:
        raise InvalidRequest(f"{name}: {str(value)[:40]!r} is no token id", param=name)
    return int(value)


def _bias(name: str, value: Any) -> float:
    if value is False or value == -math.inf:
        return -math.inf
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not abs(value) <= _MAX_BIAS:
        raise InvalidRequest(
            f"{name}: a bias must be a number within {-_MAX_BIAS:g} and {_MAX_BIAS:g}, "
            "or false to ban the token",
            param=name,
        )
    return float(value)


def strings(name: str, value: Any) -> tuple[str, ...]:
    """Return one string or several as a tuple."""
    values = [value] if isinstance(value, str) else [] if value is None else value
    if not isinstance(values, (list, tuple)) or not all(isinstance(item, str) for item in values):
        raise InvalidRequest(f"{name} must be a string or a list of strings", param=name)
    return tuple(values)


def count(name: str, value: Any) -> int | None:
    """Return a number of tokens, or None for none at all."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise InvalidRequest(f"{name} must be an integer or null", param=name)


def scalar(name: str, value: Any, wanted: type) -> Any:
    """Return a value of a plain type; an integer where a number is wanted becomes one."""
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value) if abs(value) <= FLOAT_MAX else math.inf
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise InvalidRequest(
            f"{name} must be of type {wanted.__name__}, not {type(value).__name__}", param=name
        )
    return value
