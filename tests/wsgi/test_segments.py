"""Deltas become segments, one open at a time."""

from __future__ import annotations

from typing import Any

from pyllama.results import Delta, FinishReason, ToolCallDelta
from wsgi.segments import Closed, Grown, Opened, Segments


def delta(
    text: str = "",
    *,
    reasoning: str = "",
    calls: tuple[ToolCallDelta, ...] = (),
    end: FinishReason | None = None,
) -> Delta:
    return Delta(text=text, n_tokens=1, finish_reason=end, reasoning=reasoning, tool_calls=calls)


def call(index: int, arguments: str, name: str = "") -> ToolCallDelta:
    return ToolCallDelta(index=index, id=name and f"call_{index}", name=name, arguments=arguments)


def fold(*deltas: Delta) -> tuple[Segments, list[tuple[Any, ...]]]:
    """Return the segments, and each change with its segment's index."""
    segments = Segments()
    changes: list[tuple[Any, ...]] = [
        (type(change), change.segment.index, *([change.piece] if isinstance(change, Grown) else []))
        for item in deltas
        for change in segments.take(item)
    ]
    return segments, changes


def test_each_kind_opens_a_segment() -> None:
    """Another kind closes the segment before it, and the end closes the last."""
    segments, changes = fold(delta(reasoning="a"), delta("b"), delta("c", end="stop"))
    assert changes == [
        *[(Opened, 0), (Grown, 0, "a"), (Closed, 0)],
        *[(Opened, 1), (Grown, 1, "b"), (Grown, 1, "c"), (Closed, 1)],
    ]
    assert [(item.kind, item.text) for item in segments.all] == [("reasoning", "a"), ("text", "bc")]


def test_what_goes_on_comes_first() -> None:
    """In a delta of several kinds, the end of the open segment precedes the next one."""
    segments, _ = fold(
        delta("x", calls=(call(0, "{", "f"),)),
        delta("y", calls=(call(0, "}"), call(1, "[]", "g"))),
        delta("z", reasoning="r", end="stop"),
    )
    assert [(item.kind, item.text) for item in segments.all] == [
        ("text", "x"),
        ("call", "{}"),
        ("call", "[]"),
        ("text", "yz"),
        ("reasoning", "r"),
    ]


def test_call_without_arguments_is_a_segment() -> None:
    """A call is there from its name on."""
    segments, changes = fold(delta(calls=(call(0, "", "now"),), end="tool_calls"))
    assert changes == [(Opened, 0), (Closed, 0)]
    assert (segments.all[0].id, segments.all[0].name) == ("call_0", "now")


def test_limit_cuts_the_last_segment_only() -> None:
    """The segment that the limit ended is known by that."""
    segments, _ = fold(delta(reasoning="a"), delta("b"), delta(end="length"))
    assert [item.is_cut for item in segments.all] == [False, True]
    assert not any(item.is_open for item in segments.all)


def test_answer_without_anything_has_no_segment() -> None:
    """An end alone changes nothing."""
    assert fold(delta(end="stop"))[1] == []
