"""JSON followed as it comes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyllama.text.json_scan import JsonScanner
from tests.support import strategies

finite = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


def scan(pieces: list[str]) -> tuple[str, str, str]:
    """Return what came out, what was left, and the state."""
    scanner = JsonScanner()
    taken, rest = "", ""
    for piece in pieces:
        passed, left = scanner.feed(piece)
        taken += passed
        rest += left
    return taken, rest, scanner.state


@given(st.data(), st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=4), values))
def test_json_passes_however_it_is_cut(data: Any, value: Any) -> None:
    """JSON comes out as it went in, and what follows its end is left."""
    text = json.dumps(
        value, ensure_ascii=data.draw(st.booleans()), indent=data.draw(st.sampled_from([None, 1]))
    )
    pieces = data.draw(strategies.cuts(text + " x"))
    assert scan(pieces) == (text, " x", "complete")


@given(st.data(), st.text('[]{}":,1e-.tru\\n ', max_size=24))
def test_only_json_is_complete(data: Any, text: str) -> None:
    """What is called complete is JSON, and however it is cut, the same is found."""
    taken, rest, state = scan([text])
    assert scan(data.draw(strategies.cuts(text))) == (taken, rest, state)
    if state == "complete":
        json.loads(taken)
    elif state == "open":
        assert not rest


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ('{"a" 1}', '{"a" '),
        ("[1,]", "[1,"),
        ("[01]", "[01"),
        ('{"a": tru}', '{"a": tru'),
        ("{1: 2}", "{"),
        ('["\\x"]', '["'),
        ("7", ""),
        ('"a"', ""),
        ("]", ""),
        ("[" + "1" * 99, "[" + "1" * 64),
    ],
)
def test_what_is_no_json_is_told_where_it_ends(text: str, taken: str) -> None:
    """Scanning ends at the first character that no JSON object or list can have there."""
    assert scan([text])[0] == taken
    assert scan([text])[2] == "invalid"


def test_control_characters_become_escapes() -> None:
    """A string that holds line breaks comes out as JSON that means the same."""
    taken, rest, state = scan(['{"a": "x\n\t', '\x01"}'])
    assert (rest, state) == ("", "complete")
    assert json.loads(taken) == {"a": "x\n\t\x01"}
