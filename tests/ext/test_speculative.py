"""Drafts by lookup, and the rows that verify them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from pyllama._ext.batch import Batch
from pyllama._ext.context import DECODE_OK, Context
from pyllama._ext.memory import Memory
from pyllama._ext.model import Model
from pyllama._ext.options import Options
from pyllama._ext.sampler import sample_rows, sample_verify
from pyllama._ext.speculative import NgramLookup
from pyllama.errors import NativeError
from tests.ext.native import Driver, sampler, seeded

KINDS = ["ngram-simple", "ngram-map-k", "ngram-map-k4v", "ngram-mod", "ngram-cache"]

SHORT = (
    ("--spec-ngram-simple-size-n", "3"),
    ("--spec-ngram-simple-size-m", "4"),
    ("--spec-ngram-map-k-size-n", "3"),
    ("--spec-ngram-map-k-size-m", "4"),
    ("--spec-ngram-map-k4v-size-n", "3"),
    ("--spec-ngram-map-k4v-size-m", "4"),
    ("--spec-ngram-mod-n-match", "3"),
    ("--spec-ngram-mod-n-min", "1"),
    ("--spec-ngram-mod-n-max", "4"),
)
"""Options for n-grams of three tokens and drafts of four."""


def options(kinds: str) -> Options:
    made = Options()
    for option in (("--spec-type", kinds), *SHORT):
        made.set(*option)
    return made


def lookup(kinds: str, n_lanes: int = 1) -> NgramLookup:
    return NgramLookup(options(kinds), n_lanes)


@pytest.mark.parametrize(
    ("kinds", "n_draft"), [("none", 0), ("ngram-simple", 4), ("ngram-simple,ngram-cache", 8)]
)
def test_options_tell_the_longest_draft(kinds: str, n_draft: int) -> None:
    """The longest of all kinds counts, and 0 says that there are none."""
    assert options(kinds).n_draft == n_draft


@pytest.mark.parametrize("kind", KINDS)
def test_a_repetition_is_guessed(kind: str) -> None:
    """After the beginning of what was said before comes the rest of it, token after token."""
    text = list(range(100, 140))
    one = lookup(kind)
    one.begin(0, [*text, *text[:20]])
    assert one.draft(0, [], 4) == ()
    sequence = [*text, *text[:20]]
    n_right = 0
    for _ in range(5):
        draft = one.draft(0, [text[len(sequence) - 40]], 4)
        sequence.append(text[len(sequence) - 40])
        wanted = text[len(sequence) - 40 :][: len(draft)]
        assert list(draft) == wanted
        one.accept(0, len(draft))
        n_right += len(draft)
    assert n_right > 0


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_guessed_of_the_new(kind: str) -> None:
    """Text without a repetition has no draft."""
    one = lookup(kind)
    one.begin(0, list(range(100)))
    assert one.draft(0, [500], 8) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_draft_is_as_short_as_asked(kind: str) -> None:
    """No more than n_max tokens come back, none for 0; being cut teaches no shorter drafts."""
    text = list(range(100, 140))
    one = lookup(kind)
    one.begin(0, [*text, *text[:20]])
    assert one.draft(0, [], 0) == ()
    for place in range(20, 30):
        draft = one.draft(0, [text[place]], 1)
        assert draft in {(), (text[place + 1],)}
        one.accept(0, len(draft))
    assert len(one.draft(0, [text[30]], 4)) == 4


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "ngram-mod"])
def test_a_lane_forgets_its_former_sequence(kind: str) -> None:
    """A lane that follows a new sequence knows that one alone, shorter or longer."""
    text = list(range(100, 140))
    one = lookup(kind)
    for n_others in (30, 300):
        one.begin(0, text * 2)
        one.draft(0, [text[0]], 4)
        one.accept(0, 0)
        one.end(0)
        one.begin(0, list(range(1000, 1000 + n_others)) + text[:10])
        assert one.draft(0, text[10:12], 4) == ()
        one.end(0)


def test_the_mod_kind_learns_for_all_lanes() -> None:
    """What one sequence said is guessed in another."""
    text = list(range(100, 140))
    one = lookup("ngram-mod", 2)
    one.begin(0, text)
    one.begin(1, [1, 2, 3, 4, *text[:5]])
    assert one.draft(1, [text[5]], 4) == tuple(text[6:10])


@pytest.mark.parametrize("kinds", ["none", "draft-simple", "ngram-simple,draft-mtp"])
def test_other_kinds_are_refused(kinds: str) -> None:
    """A lookup runs no draft model."""
    with pytest.raises(NativeError, match="n-gram kinds alone"):
        lookup(kinds)


def test_wrong_calls_are_refused() -> None:
    """Lanes and counts that do not exist are errors, and the lookup goes on."""
    one = lookup("ngram-map-k", 2)
    with pytest.raises(NativeError, match="a lane"):
        lookup("ngram-simple", 0)
    for call in (
        lambda: one.begin(2, [1]),
        lambda: one.draft(-1, [1], 4),
        lambda: one.accept(2, 0),
        lambda: one.end(2),
    ):
        with pytest.raises(NativeError, match="no lane"):
            call()
    with pytest.raises(NativeError, match="follows no sequence"):
        one.draft(0, [1], 4)
    with pytest.raises(ValueError, match="negative"):
        one.draft(0, [1], -1)
    with pytest.raises(ValueError, match="accepted"):
        one.accept(0, -1)
    with pytest.raises(TypeError):
        one.begin(0, ["a"])  # type: ignore[list-item]
    one.begin(1, [1, 2])
    assert one.draft(1, [3], 4) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_any_history_is_survived(kind: str) -> None:
    """Random sequences in random lanes, drafts accepted or not: nothing ends the process."""
    source = seeded(7)
    one = lookup(f"{kind},ngram-cache", 3)
    for _ in range(60):
        lane = source.randrange(3)
        one.begin(lane, _noise(source, source.randrange(80)))
        for _ in range(source.randrange(20)):
            draft = one.draft(lane, _noise(source, source.randrange(1, 4)), source.randrange(9))
            if source.random() < 0.7:
                one.accept(lane, source.randint(0, len(draft)))
        if source.random() < 0.5:
            one.end(lane)


def _noise(source: random.Random, count: int) -> list[int]:
    return [source.randrange(4) for _ in range(count)]


@pytest.fixture(scope="module")
def drafting(model: Model) -> Iterator[Driver]:
    """A context with room for drafts of eight tokens."""
    context = Context(model, 0, n_draft_rows=36)
    yield Driver(model, context, Memory(context), Batch(64))
    context.close()


def test_verifying_draws_what_decoding_draws(drafting: Driver, tokens: list[int]) -> None:
    """The rows of a draft give the tokens of plain decoding up to where it was wrong."""
    drafting.memory.clear()
    one = sampler(drafting.model)
    drawn: list[int] = []
    for start in [0, *range(len(tokens), len(tokens) + 6)]:
        (row,) = drafting.fill((tokens + drawn, start, 0))
        drafting.context.decode(drafting.batch)
        drawn += sample_rows(drafting.context, [one], [row])
    for n_right in (0, 2, 5):
        draft = (*drawn[1 : 1 + n_right], 0)
        drafting.memory.clear()
        (row,) = drafting.fill(([*tokens, drawn[0]], 0, 0))
        drafting.batch.add_draft(draft, len(tokens) + 1, 0)
        assert drafting.context.decode(drafting.batch) == DECODE_OK
        verified = sample_verify(drafting.context, sampler(drafting.model), row, draft)
        assert verified == (n_right, drawn[1 + n_right])
        whole = sample_verify(drafting.context, sampler(drafting.model), row, draft[:-1])
        assert whole == (n_right, drawn[1 + n_right])


def test_a_draft_without_rows_is_refused(drafting: Driver, tokens: list[int]) -> None:
    """A row that has no logits is an error, as in plain sampling."""
    drafting.alone(tokens)
    with pytest.raises(NativeError, match="no logits"):
        sample_verify(drafting.context, sampler(drafting.model), len(tokens), (1,))
    with pytest.raises(NativeError, match="no logits"):
        sample_verify(drafting.context, sampler(drafting.model), -1, ())


def test_a_closed_context_is_told(model: Model) -> None:
    """No row can be read from it."""
    context = Context(model, 0)
    context.close()
    with pytest.raises(RuntimeError, match="closed"):
        sample_verify(context, sampler(model), 0, ())


def test_a_draft_longer_than_the_batch_is_refused() -> None:
    """The batch keeps what it held."""
    batch = Batch(4)
    batch.add([1, 2], 0, 2, 0, wants_logits=True)
    for draft, start in (((1, 2, 3), 2), ((1,), -1)):
        with pytest.raises(ValueError, match="tokens from position"):
            batch.add_draft(draft, start, 0)
    assert len(batch) == 2
