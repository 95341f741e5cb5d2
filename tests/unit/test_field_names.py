"""Fields under several names: what was given, and what a refusal calls it."""

from __future__ import annotations

import pytest

from pyllama.errors import InvalidRequest
from pyllama.field_names import caller_names, one_of, spelled

SPELLINGS = {"max_tokens": ("max_tokens", "n_predict"), "stop": ("stop_sequences",)}


def told(message: str, param: str | None, names: dict[str, str]) -> tuple[str, str | None]:
    """Return the message and the field of a refusal in the caller's words."""

    def refuse() -> None:
        with caller_names(names):
            raise InvalidRequest(message, param=param)

    with pytest.raises(InvalidRequest) as caught:
        refuse()
    assert str(caught.value) == caught.value.message
    return caught.value.message, caught.value.param


def test_a_refusal_names_the_callers_field() -> None:
    """The path is another one, and so is the message that begins with it."""
    names = {"stop": "stop_sequences", "tools[0]": "functions[3]"}
    assert told("stop[1] must be a string", "stop[1]", names) == (
        "stop_sequences[1] must be a string",
        "stop_sequences[1]",
    )
    assert told("tools[0].type is missing", "tools[0].type", names)[1] == "functions[3].type"


@pytest.mark.parametrize(
    "message", ["they do not stop", "a nonstop stop of stop", "--stop is no option here"]
)
def test_words_that_are_like_a_field_stay(message: str) -> None:
    """Only the path at the beginning is one: whatever else a message says is left alone."""
    assert told(message, "stop", {"stop": "stop_sequences"}) == (message, "stop_sequences")


def test_without_another_name_a_refusal_stays_as_it_is() -> None:
    """So does one that is of no field."""
    assert told("top_k is wrong", "top_k", {"stop": "x"}) == ("top_k is wrong", "top_k")
    assert told("top_k is wrong", None, {"top_k": "x"}) == ("top_k is wrong", None)


def test_values_go_by_the_librarys_names() -> None:
    """And each is known by the name under which it came."""
    given = {"n_predict": 3, "stop_sequences": ["a"], "other": 1}
    values, names = spelled(given, SPELLINGS)
    assert values == {"max_tokens": 3, "stop": ["a"]}
    assert names == {"max_tokens": "n_predict", "stop": "stop_sequences"}
    assert spelled({}, SPELLINGS) == ({}, {})


def test_two_names_may_say_the_same_only() -> None:
    """Different values under two names for one thing are refused."""
    names = SPELLINGS["max_tokens"]
    assert one_of({"max_tokens": 3, "n_predict": 3}, names) == 3
    with pytest.raises(InvalidRequest, match="max_tokens and n_predict mean the same") as caught:
        one_of({"max_tokens": 3, "n_predict": 4}, names)
    assert caught.value.param == "max_tokens"
