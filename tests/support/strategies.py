"""What hypothesis draws: texts and cuts of them, prompts that share prefixes, step results."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import strategies as st

from pyllama.sched import Limits, StepStatus

T = TypeVar("T", str, bytes)

# Few letters, so that stop strings and overlaps really occur.
letters = st.text("ab", max_size=12)
stops = st.lists(st.text("ab", min_size=1, max_size=4), max_size=3)


def cuts(whole: T) -> st.SearchStrategy[list[T]]:
    """Draw a way to cut a text or bytes into pieces, empty ones included."""
    places = st.lists(st.integers(0, len(whole)), max_size=len(whole)).map(sorted)
    return places.map(
        lambda places: [
            whole[start:end] for start, end in zip([0, *places], [*places, len(whole)], strict=True)
        ]
    )


# Prompts of one family are prefixes of each other: caches hit wholly, partly and not at all.
prompts = st.builds(
    lambda family, length: tuple(family * 100 + index for index in range(length)),
    st.integers(1, 3),
    st.integers(1, 40),
)

# More families than slots, so that they take each other's cells.
long_prompts = st.builds(
    lambda family, length: tuple(family * 100 + index for index in range(length)),
    st.integers(1, 6),
    st.integers(15, 40),
)

# Few texts around few pictures, each of a size of its own: prefixes end before, between and after.
_texts = st.builds(lambda length: tuple(range(100, 100 + length)), st.integers(1, 5))
_pictures = st.integers(1, 3).map(lambda number: (-number,) * (3 * number))
pictured = st.lists(st.one_of(_texts, _pictures), max_size=4).flatmap(
    lambda parts: _texts.map(lambda end: (*parts, end))
)

# Whether saves and loads work, and how long they take: against a step of 0.25 s.
fates = st.lists(st.booleans(), max_size=4)
durations_s = st.sampled_from([1e-4, 0.02, 2.0])

# Mostly OK, so that work gets done.
statuses = st.sampled_from([StepStatus.OK] * 6 + [StepStatus.ABORTED, StepStatus.NO_KV_CELLS])


@st.composite
def contexts(draw: st.DrawFn) -> Limits:
    """Draw a context: streams, or one pool with too few cells for all; trimmable or not."""
    n_slots = draw(st.integers(1, 4))
    n_ctx_seq = draw(st.integers(42, 70))
    is_unified = draw(st.booleans())
    return Limits(
        n_slots=n_slots,
        n_seq_ids=n_slots + draw(st.integers(0, 3)) if is_unified else n_slots,
        is_unified=is_unified,
        n_ctx_seq=n_ctx_seq,
        n_cells=n_ctx_seq if is_unified else n_ctx_seq * n_slots,
        n_batch=draw(st.sampled_from([8, 64])),
        n_ubatch=draw(st.sampled_from([4, 8])),
        n_scored=draw(st.sampled_from([1, 5, 64])),
        eog_tokens=frozenset({0, 1}),
        can_trim=draw(st.booleans()),
    )
