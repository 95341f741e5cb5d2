"""Grammars and budgets beside the sampler chain: the short way gives what the long way gives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyllama._ext.model import Model
from pyllama._ext.sampler import Sampler, sample_rows
from pyllama._ext.vocab import Vocab
from pyllama.params import GenerationParams
from pyllama.text.constraint import Constraint
from tests.ext.native import Driver

# A bias of nothing: the chain begins with it, and so gets the whole vocabulary.
THE_LONG_WAY: dict[str, Any] = {"logit_bias": {0: 0.0}}
N_FREE = 32
_WORD, _PATTERN = 1, 2

GRAMMARS = {
    "words": 'root ::= ([a-z]+ " ")+',
    "digits": "root ::= [0-9]+",
    "json": r'root ::= ("{" ws "\"a\":" ws [0-9]+ ("," ws "\"b\": \"" [^"]* "\"")? "}")+'
    "\nws ::= [ \\n]?",
    "rare": 'root ::= ("zygote" | "Zürich" | "雪")+',
    "anything": "root ::= .*",
}

real = settings(
    max_examples=16, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def constrained(model: Model, constraint: Constraint, **changes: Any) -> Sampler:
    """Make a sampler from flat parameter names and a constraint, greedy by default."""
    params = GenerationParams().with_options(**changes).as_dict()
    return Sampler(model, json.dumps({**params, "constraint": constraint.as_dict()}))


class Path:
    """A text that the model goes on with greedily, and the rows of logits along it."""

    def __init__(self, streams: Driver, vocab: Vocab, prompt: str) -> None:
        self._context = streams.context
        self.pieces = vocab.pieces()
        tokens = vocab.tokenize(prompt)
        streams.memory.clear()
        self.free: list[int] = []
        logits = streams.run((tokens, 0, 0))[0]
        for _ in range(N_FREE):
            values = logits.tolist()
            self.free.append(values.index(max(values)))
            text = [*tokens, *self.free]
            logits = streams.run((text, len(text) - 1, 0))[0]
        streams.memory.clear()
        streams.batch.clear()
        first = streams.batch.add(tokens, 0, len(tokens), 0, wants_logits=True)
        streams.batch.add_draft(tuple(self.free), len(tokens), 0)
        streams.context.decode(streams.batch)
        self.rows = range(first, first + N_FREE)
        self.text = self.said(self.free)

    def said(self, tokens: list[int]) -> str:
        return b"".join(self.pieces[token] for token in tokens).decode()

    def sample(self, sampler: Sampler) -> list[int]:
        """Return what a sampler draws of each row."""
        return [self.draw(sampler, row) for row in self.rows]

    def draw(self, sampler: Sampler, row: int) -> int:
        return sample_rows(self._context, [sampler], [row])[0]


@pytest.fixture(scope="module")
def path(model: Model, vocab: Vocab) -> Iterator[Path]:
    driver = Driver.of(model)
    yield Path(driver, vocab, "Once upon a time there was a fox. The fox")
    driver.context.close()


@real
@given(
    grammar=st.sampled_from(sorted(GRAMMARS)),
    changes=st.fixed_dictionaries(
        {"temperature": st.floats(0.1, 3.0), "top_k": st.sampled_from([1, 2, 10, 40, 256])},
        optional={"top_p": st.floats(0.1, 1.0), "min_p": st.floats(0.0, 1.0)},
    ),
    seed=st.integers(0, 2**31),
)
def test_a_first_look_at_a_few_is_as_good_as_one_at_all(
    path: Path, model: Model, grammar: str, changes: dict[str, Any], seed: int
) -> None:
    """Draw after draw, few candidates give the tokens and reports that the vocabulary gives."""
    constraint = Constraint(grammar=GRAMMARS[grammar])
    asked = {**changes, "seed": seed, "logprobs": 20, "post_sampling_probs": True}
    fast = constrained(model, constraint, **asked)
    slow = constrained(model, constraint, **asked, **THE_LONG_WAY)
    assert path.sample(fast) == path.sample(slow)
    assert fast.take_logprobs() == slow.take_logprobs()


@pytest.mark.parametrize("grammar", GRAMMARS)
def test_the_greedy_way_is_the_chain_of_one_candidate(
    path: Path, model: Model, grammar: str
) -> None:
    """The arg-max of what a grammar takes is what a chain gives that keeps the largest alone."""
    constraint = Constraint(grammar=GRAMMARS[grammar])
    greedy = constrained(model, constraint, temperature=0.0)
    assert greedy.is_greedy
    chain = constrained(model, constraint, temperature=1.0, top_k=1, **THE_LONG_WAY)
    assert path.sample(greedy) == path.sample(chain)


def test_a_banned_token_stays_banned_within_a_grammar(path: Path, model: Model) -> None:
    """Biases count in the arg-max of what a grammar takes, as they do in the chain."""
    constraint = Constraint(grammar=GRAMMARS["words"])
    first = path.sample(constrained(model, constraint, temperature=0.0))[0]
    banned = {"temperature": 0.0, "logit_bias": {first: False}}
    assert path.sample(constrained(model, constraint, **banned))[0] != first


@pytest.mark.parametrize("kind", [_WORD, _PATTERN])
@real
@given(data=st.data())
def test_a_word_wakes_a_lazy_grammar_wherever_it_is_cut(
    path: Path, model: Model, kind: int, data: st.DataObject
) -> None:
    """Up to the token that ends the word the answer is free; then the grammar goes on from it."""
    ends = [len(path.said(path.free[: i + 1])) for i in range(N_FREE - 4)]
    end = data.draw(st.sampled_from(ends))
    word = path.text[data.draw(st.integers(max(end - 30, 0), end - 1)) : end]
    # It may have come before, and then not at the end of a token.
    woken = path.text.index(word) + len(word)
    n_free = next(i for i, n in enumerate(ends) if n >= woken) + 1
    rest = path.text[woken : ends[n_free - 1]]
    grammar = f"root ::= {json.dumps(word)} {json.dumps(rest + '=42')}"
    value = word if kind == _WORD else "".join(f"[{c}]" if c != "\n" else r"\n" for c in word)
    constraint = Constraint(grammar=grammar, lazy=True, triggers=({"type": kind, "value": value},))
    tokens = path.sample(constrained(model, constraint, temperature=0.0))
    assert tokens[:n_free] == path.free[:n_free]
    answer = b"".join(path.pieces[token] for token in tokens[n_free:]).decode()
    assert answer.startswith("=42")


def test_a_grammar_that_nothing_wakes_changes_nothing(path: Path, model: Model) -> None:
    """A word that does not come leaves every token as it is."""
    constraint = Constraint(
        grammar='root ::= "xyzzy"', lazy=True, triggers=({"type": _WORD, "value": "xyzzy"},)
    )
    assert path.sample(constrained(model, constraint, temperature=0.0)) == path.free


def test_what_wakes_a_grammar_and_does_not_fit_goes_on_free(path: Path, model: Model) -> None:
    """A lazy grammar that cannot take the word that woke it is given up, and the answer goes on."""
    word = path.text[10:14]
    constraint = Constraint(
        grammar='root ::= "xyzzy"', lazy=True, triggers=({"type": _WORD, "value": word},)
    )
    assert path.sample(constrained(model, constraint, temperature=0.0)) == path.free


def test_an_answer_ends_where_the_grammar_does(path: Path, model: Model, vocab: Vocab) -> None:
    """Behind the last thing that a grammar takes comes an end of generation."""
    tokens = path.sample(constrained(model, Constraint(grammar='root ::= "abc"'), temperature=0.0))
    ends = [i for i, token in enumerate(tokens) if token in vocab.eog_tokens()]
    assert path.said(tokens[: ends[0]]) == "abc"


def test_a_budget_forces_the_end_of_thoughts_and_wakes_what_follows(
    path: Path, model: Model, vocab: Vocab
) -> None:
    """After its tokens the end comes, whatever is likely, and a lazy grammar counts from there."""
    constraint = Constraint(
        grammar='root ::= "!" "call"',
        lazy=True,
        triggers=({"type": _WORD, "value": "!"},),
        generation_prompt="<think>",
        thinking_start="<think>",
        thinking_ends=("</think>!",),
        reasoning_budget=5,
    )
    tokens = path.sample(constrained(model, constraint, temperature=0.0))
    assert tokens[:5] == path.free[:5]
    assert path.said(tokens[5:]).startswith("</think>!call")
