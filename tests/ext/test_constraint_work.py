"""What a grammar may cost: an ambiguous one is given up, a large plain one is not."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from pyllama._ext.model import Model
from pyllama._ext.sampler import Sampler
from pyllama._ext.vocab import Vocab
from pyllama.errors import NativeError
from pyllama.text.constraint import Constraint
from tests.ext.native import Driver
from tests.ext.test_constraint import THE_LONG_WAY, Path, constrained

AMBIGUOUS = {
    "nested": 'root ::= ((("x"?){12}){12}){12}',
    "two of 16": 'root ::= (([a-z ]?){16}){16} "Q"',
    "two of 30": 'root ::= (([a-z ]?){30}){30} "Q"',
    "items": 'root ::= item{30}\nitem ::= ((([a-z ]?){5}){5}){5} "-"',
    "doubling": 'root ::= "x" root "y" | "x" root "z"',
    "alternatives": "root ::= (" + " | ".join(["[a-z]"] * 1900) + ")*",
    "after a while": 'root ::= [a-z ]{8} (([a-z ]?){20}){20} "Q"',
}
PLAIN = {
    "numbered": "root ::= " + " | ".join(f'"w{n:04d}"' for n in range(1000)),
    "any start": "root ::= " + " | ".join(f'"{n:04d}"' for n in range(1900)),
    "optional": 'root ::= "{" ' + " ".join(f'("f{n}:" [^"]* ";")?' for n in range(60)) + ' "}"',
}
# Of the work of the costliest plain one; where a token may take all it likes it is 30 times that.
MAX_RATIO = 8


@pytest.fixture(scope="module")
def path(model: Model, vocab: Vocab) -> Iterator[Path]:
    driver = Driver.of(model)
    yield Path(driver, vocab, "Once upon a time there was a fox. The fox")
    driver.context.close()


def sampler_of(model: Model, grammar: str, *, is_long: bool) -> Sampler | None:
    """Make a sampler; None where its grammar is refused at once."""
    changes = {"temperature": 1.0, "seed": 1, **THE_LONG_WAY} if is_long else {"temperature": 0.0}
    try:
        return constrained(model, Constraint(grammar=grammar), **changes)
    except NativeError as error:
        if "ambiguous" not in str(error):
            raise
        return None


def longest_s(path: Path, sampler: Sampler) -> float:
    """Return the longest time of this thread that a token took."""
    longest = 0.0
    for row in path.rows:
        start_s = time.thread_time()
        path.draw(sampler, row)
        longest = max(longest, time.thread_time() - start_s)
    return longest


@pytest.mark.parametrize("is_long", [False, True])
@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_grammar_of_too_many_ways_is_given_up(
    path: Path, model: Model, vocab: Vocab, name: str, *, is_long: bool
) -> None:
    """It is refused at once, or its answer ends, and the sampler says why."""
    sampler = sampler_of(model, AMBIGUOUS[name], is_long=is_long)
    if sampler is not None:
        tokens = path.sample(sampler)
        assert sampler.has_given_up
        assert any(token in vocab.eog_tokens() for token in tokens)


@pytest.mark.parametrize("is_long", [False, True])
@pytest.mark.parametrize("name", PLAIN)
def test_a_large_grammar_of_few_ways_is_not(
    path: Path, model: Model, name: str, *, is_long: bool
) -> None:
    """Many words, and many parts that may be left out, are no reason to give up."""
    sampler = sampler_of(model, PLAIN[name], is_long=is_long)
    assert sampler is not None
    path.sample(sampler)
    assert not sampler.has_given_up


def test_a_token_takes_a_bounded_time(path: Path, model: Model) -> None:
    """The dearest token of an ambiguous grammar is no more than a few times one of a large one."""
    plain = [sampler_of(model, grammar, is_long=True) for grammar in PLAIN.values()]
    usual_s = max(longest_s(path, sampler) for sampler in plain if sampler is not None)
    ambiguous = [sampler_of(model, grammar, is_long=True) for grammar in AMBIGUOUS.values()]
    hostile_s = max(longest_s(path, sampler) for sampler in ambiguous if sampler is not None)
    assert hostile_s < MAX_RATIO * usual_s


def test_a_lazy_grammar_that_is_given_up_does_not_go_on_free(
    path: Path, model: Model, vocab: Vocab
) -> None:
    """What woke it was right, and what would come after it might be anything."""
    word = path.text[10:14]
    grammar = f'root ::= "{word}" (([a-z ]?){{30}}){{30}} "Q"'
    constraint = Constraint(grammar=grammar, lazy=True, triggers=({"type": 1, "value": word},))
    sampler = constrained(model, constraint, temperature=0.0)
    tokens = path.sample(sampler)
    assert sampler.has_given_up
    assert any(token in vocab.eog_tokens() for token in tokens)
