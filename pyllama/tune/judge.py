"""Whether one candidate is faster than another, told from rates measured side by side."""

from __future__ import annotations

import enum
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MARGIN = 1.03
"""A gain below this is taken for noise."""
MAX_ROUNDS = 5
_MIN_ROUNDS = 3
# Nobody measures twice what is that much slower.
_HOPELESS = 0.9


class Verdict(enum.Enum):
    """What became of a challenger."""

    BETTER = "better"
    NOT_BETTER = "no better"
    WORSE = "worse"
    FAILED = "cannot run"
    UNFINISHED = "no time"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two rates of the same figure, one after the other, in tokens a second."""

    incumbent: float
    challenger: float

    @property
    def log_ratio(self) -> float:
        """How much faster the challenger was: logarithm of the quotient."""
        return math.log(self.challenger / self.incumbent)


Pairs = Mapping[str, Sequence[Pair]]
"""By figure."""


@dataclass(frozen=True, slots=True)
class Score:
    """How many times as fast the challenger is: the geometric mean over the figures.

    Every figure counts the same, whatever its unit of time: 10 % faster decoding outweighs 6 %
    slower prefill. Of a figure the median pair counts.
    """

    middle: float
    low: float
    """With the lower quartile of each figure."""
    high: float
    """With the upper quartile."""


@dataclass(slots=True)
class Duel:
    """All pairs of one challenger with its incumbent."""

    pairs: dict[str, list[Pair]] = field(default_factory=dict)

    def add(self, figure: str, pair: Pair) -> None:
        """Keep one pair."""
        self.pairs.setdefault(figure, []).append(pair)

    @property
    def n_rounds(self) -> int:
        """Rounds in which every figure was measured."""
        return min((len(pairs) for pairs in self.pairs.values()), default=0)

    def verdict(self) -> Verdict | None:
        """Return the verdict, None while it takes another round."""
        n_rounds, score = self.n_rounds, score_of(self.pairs)
        if score.high < _HOPELESS:
            return Verdict.WORSE
        if n_rounds > 1 and score.high < MARGIN:
            return Verdict.NOT_BETTER
        if n_rounds >= _MIN_ROUNDS and score.middle > MARGIN and score.low > 1:
            return Verdict.BETTER
        return Verdict.NOT_BETTER if n_rounds >= MAX_ROUNDS else None


def score_of(pairs: Pairs) -> Score:
    """Return the score of pairs; every figure has one at least."""
    quartiles = [_quartiles([pair.log_ratio for pair in some]) for some in pairs.values()]
    low, middle, high = (statistics.fmean(column) for column in zip(*quartiles, strict=True))
    return Score(middle=math.exp(middle), low=math.exp(low), high=math.exp(high))


def _quartiles(values: Sequence[float]) -> tuple[float, ...]:
    if len(values) == 1:
        return (values[0],) * 3
    return tuple(statistics.quantiles(values, n=4, method="inclusive"))
