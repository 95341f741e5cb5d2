"""A small driver of the compiled modules: tokens in, logits out."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyllama._ext.batch import Batch
from pyllama._ext.context import DECODE_OK, Context
from pyllama._ext.memory import Memory
from pyllama._ext.model import Model
from pyllama._ext.options import Options
from pyllama._ext.sampler import Sampler
from pyllama.params import GenerationParams

N_SLOTS = 4

# Largest difference of two rows of logits that stand for the same tokens. Measured on x86-64: none
# for short prompts, 0.54 with flash attention where one is cut into micro-batches differently. Any
# token less in TEXT makes one of 1.2 to 18, so that a wrong KV cell does not hide below this.
ROUNDING = 0.75

TEXT = "The quick brown fox jumps over the lazy dog, and the lazy dog sleeps on."


def load(path: Path, *changes: tuple[str, ...]) -> Model:
    """Load a model for four slots of 256 tokens; the changes are options, applied last."""
    options = Options()
    for option in (
        ("--parallel", str(N_SLOTS)),
        ("--ctx-size", str(N_SLOTS * 256)),
        ("--batch-size", "512"),
        ("--ubatch-size", "128"),
        # One thread waits for no other, so that a busy machine slows the tests and no more.
        ("--threads", "1"),
        ("--fit", "off"),
        ("--no-warmup",),
        *changes,
    ):
        options.set(*option)
    return Model(path, options)


def sampler(model: Model, **changes: Any) -> Sampler:
    """Make a sampler from flat parameter names, greedy by default."""
    return Sampler(model, json.dumps(GenerationParams().with_options(**changes).as_dict()))


def seeded(seed: int) -> random.Random:
    """Return a generator that damages the same bytes each time."""
    return random.Random(seed)  # noqa: S311  (nothing here is secret)


def argmax(logits: memoryview) -> int:
    """Return the first index of the largest logit."""
    values = logits.tolist()
    return values.index(max(values))


def difference(one: memoryview, other: memoryview) -> float:
    """Return the largest difference of two rows of logits."""
    return max(abs(a - b) for a, b in zip(one.tolist(), other.tolist(), strict=True))


@dataclass
class Driver:
    """A context with its memory and one batch, for a test that thinks in sequences."""

    model: Model
    context: Context
    memory: Memory
    batch: Batch

    @classmethod
    def of(cls, model: Model, options: Options | None = None) -> Driver:
        context = Context(model, 0, options)
        return cls(model, context, Memory(context), Batch(2 * context.n_batch))

    def fill(self, *parts: tuple[list[int], int, int]) -> list[int]:
        """Fill the batch with (tokens, start, seq_id); return each part's row of logits."""
        self.batch.clear()
        return [
            self.batch.add(tokens, start, len(tokens) - start, seq_id, wants_logits=True)
            for tokens, start, seq_id in parts
        ]

    def run(self, *parts: tuple[list[int], int, int]) -> list[memoryview]:
        """Decode parts in one batch; return each part's last logits."""
        rows = self.fill(*parts)
        assert self.context.decode(self.batch) == DECODE_OK
        return [self.context.logits(row) for row in rows]

    def alone(self, tokens: list[int], seq_id: int = 0) -> memoryview:
        """Decode one sequence from an empty memory; return its last logits."""
        self.memory.clear()
        return self.run((tokens, 0, seq_id))[0]
