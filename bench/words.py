"""Prompts out of a fixed seed and a small list of words: the same on every machine.

Common short words, so that a word is about one token for most vocabularies.
"""

from __future__ import annotations

import random

_WORDS = (
    "river stone garden winter market letter window bridge morning silver table paper "
    "mountain summer kitchen yellow captain corner village doctor music island engine forest "
    "teacher number candle harbor pocket ladder butter meadow rocket basket copper desert "
    "planet button wagon orange the a of to in with under over after before between without "
    "near along across behind runs turns opens carries follows builds paints finds keeps "
    "moves watches reads counts holds makes old new small large quiet bright heavy early "
    "simple open green cold warm deep broad narrow "
)


def text(seed: str, n_words: int) -> str:
    """Return ``n_words`` words in sentences; another seed gives another text from the first word.

    Args:
        seed: name of the text.
        n_words: its length.
    """
    source = random.Random(seed)  # noqa: S311  (repeatable is what is wanted)
    choices = _WORDS.split()
    words = [source.choice(choices) for _ in range(n_words)]
    sentences = [words[i : i + 12] for i in range(0, n_words, 12)]
    return " ".join(" ".join(sentence).capitalize() + "." for sentence in sentences)
