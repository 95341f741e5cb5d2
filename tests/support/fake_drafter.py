"""A drafter that knows what the fake model will say, and says it wholly, partly or not at all."""

from __future__ import annotations

import random

from pyllama.sched import Sequence
from tests.support.fake_runner import next_token

N_VOCAB = 50


class FakeDrafter:
    """Guesses the fake model's next tokens, some of them wrongly; checks how it is called.

    Args:
        seed: what is guessed, and how well.
        share_right: probability that a whole draft is right.
    """

    def __init__(self, seed: int = 0, *, share_right: float = 0.5) -> None:
        self.n_max = 6
        self.n_right: dict[Sequence, int] = {}
        self.n_drafts = 0
        self._random = random.Random(seed)  # noqa: S311  (repeatable is what is wanted)
        self._share_right = share_right

    def draft(self, sequence: Sequence, n_max: int) -> tuple[int, ...]:
        assert n_max >= 1
        assert sequence.is_decoding
        tokens = list(sequence.tokens)
        for _ in range(self._random.randint(0, min(n_max, 6))):
            tokens.append(next_token(tokens))
        draft = tokens[len(sequence.tokens) :]
        n_right = len(draft)
        if draft and self._random.random() >= self._share_right:
            n_right = self._random.randrange(len(draft))
            draft[n_right] = (draft[n_right] + 1) % N_VOCAB
        self.n_right[sequence] = n_right
        self.n_drafts += bool(draft)
        return tuple(draft)

    def accept(self, sequence: Sequence, n_accepted: int) -> None:
        assert self.n_right[sequence] == n_accepted

    def end(self, sequence: Sequence) -> None:
        self.n_right.pop(sequence, None)
