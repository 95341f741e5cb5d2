"""What was read of an answer becomes its parts, one open at a time."""

from __future__ import annotations

from typing import Any

from pyllama.results import Delta, FinishReason, PartGrown, TokenLogprobs, ToolCallDelta
from pyllama.text import Answer
from pyllama.text.output import OutputDelta


def call(index: int, arguments: str, name: str = "") -> ToolCallDelta:
    """A piece of a call; only the first piece has an id."""
    return ToolCallDelta(index=index, id=name and f"call_{index}", name=name, arguments=arguments)


def said(*pieces: OutputDelta, end: FinishReason | None = "stop") -> tuple[Answer, Delta]:
    """Return an answer of some pieces, and the one delta that tells of it."""
    answer = Answer()
    for piece in pieces:
        answer.add(piece)
    delta = answer.take(len(pieces), end)
    assert delta is not None
    return answer, delta


def told(delta: Delta) -> list[tuple[Any, ...]]:
    """Return each change of a delta with its part's place, and what the part got."""
    return [
        (
            type(change).__name__.removeprefix("Part"),
            change.part.index,
            *([change.text] if isinstance(change, PartGrown) else []),
        )
        for change in delta.changes
    ]


def parts(answer: Answer) -> list[tuple[str, str]]:
    """Return the kind and the text of each part."""
    return [(part.kind, part.text) for part in answer.parts]


def test_each_kind_opens_a_part() -> None:
    """Another kind closes the part before it, and the end closes the last."""
    answer, delta = said(
        OutputDelta(reasoning="a"), OutputDelta(content="b"), OutputDelta(content="c")
    )
    assert told(delta) == [
        *[("Opened", 0), ("Grown", 0, "a"), ("Closed", 0)],
        *[("Opened", 1), ("Grown", 1, "bc"), ("Closed", 1)],
    ]
    assert parts(answer) == [("reasoning", "a"), ("text", "bc")]


def test_parts_keep_the_order_in_which_they_came() -> None:
    """Text before a call and after it are two parts, in one delta too."""
    answer, delta = said(
        OutputDelta(content="x"),
        OutputDelta(tool_calls=(call(0, "{", "f"),)),
        OutputDelta(tool_calls=(call(0, "}"),)),
        OutputDelta(content="y"),
        OutputDelta(reasoning="r"),
        OutputDelta(content="z"),
    )
    expected = [("text", "x"), ("call", "{}"), ("text", "y"), ("reasoning", "r"), ("text", "z")]
    assert parts(answer) == expected
    assert [change[2] for change in told(delta) if change[0] == "Grown"] == [
        text for _, text in expected
    ]
    assert (answer.text, delta.text, answer.reasoning) == ("xyz", "xyz", "r")


def test_what_goes_on_comes_first() -> None:
    """In a piece of several kinds, the end of the open part precedes the next one."""
    answer, _ = said(
        OutputDelta(content="x", tool_calls=(call(0, "{", "f"),)),
        OutputDelta(content="y", tool_calls=(call(0, "}"), call(1, "[]", "g"))),
        OutputDelta(content="z", reasoning="r"),
    )
    assert parts(answer) == [
        ("text", "x"),
        ("call", "{}"),
        ("call", "[]"),
        ("text", "yz"),
        ("reasoning", "r"),
    ]


def test_call_without_arguments_is_a_part() -> None:
    """A call is there from its name on."""
    answer, delta = said(OutputDelta(tool_calls=(call(0, "", "now"),)), end="tool_calls")
    assert told(delta) == [("Opened", 0), ("Closed", 0)]
    assert (answer.parts[0].id, answer.parts[0].name) == ("call_0", "now")


def test_limit_cuts_the_last_part_only() -> None:
    """The part that the limit ended is known by that, and one that goes on is not whole."""
    pieces = OutputDelta(reasoning="a"), OutputDelta(content="b")
    for end in ("length", None):
        answer, _ = said(*pieces, end=end)
        assert [part.is_whole for part in answer.parts] == [True, False]
    answer, delta = said(*pieces)
    assert all(part.is_whole for part in answer.parts)
    assert delta.changes[-1].part == answer.parts[-1]


def test_answer_without_anything_has_no_part() -> None:
    """An end alone changes nothing."""
    assert said()[1].changes == ()


def test_log_probabilities_go_with_the_text() -> None:
    """Those of a token that ends the answer, and has no text, go with the text before it."""
    one, end = (TokenLogprobs(token=token, logprob=-1.0) for token in (1, 2))
    answer = Answer()
    answer.add(OutputDelta(content="a"))
    answer.add_logprobs(one)
    first = answer.take(1, None)
    answer.add_logprobs(end)
    assert answer.take(1, None) is None
    last = answer.take(2, "stop")
    assert first is not None
    assert last is not None
    changes = [*first.changes, *last.changes]
    grown = [change for change in changes if isinstance(change, PartGrown)]
    assert [(change.text, change.logprobs) for change in grown] == [("a", (one,)), ("", (end,))]
    assert answer.parts[0].logprobs == (one, end)
