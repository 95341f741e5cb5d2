"""The search: from the defaults, one factor after the other, each against the best so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

from pyllama.errors import PyllamaError
from pyllama.tune.judge import Duel, Pair, Score, Verdict, score_of
from pyllama.tune.space import Choice, Factor, Options, options_of

# The rest of the time is for the best against the defaults.
_SEARCH_SHARE = 0.85


class Lane(Protocol):
    """An engine with some options, ready to be measured."""

    def measure(self, figure: str) -> float:
        """Do a figure's work; return its rate in tokens a second."""

    def close(self) -> None:
        """Free it."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One challenger and what came of it."""

    name: str
    label: str
    verdict: Verdict
    pairs: Mapping[str, Sequence[Pair]]
    """Against the best before it, which may be another one than the defaults."""
    is_used: bool = False
    note: str = ""

    @property
    def score(self) -> Score | None:
        """How much faster it was, None where nothing was measured."""
        return score_of(self.pairs) if self.pairs else None


@dataclass(slots=True)
class Outcome:
    """The result of a search."""

    options: Options = ()
    """The best found; none where the defaults are best."""
    trials: list[Trial] = field(default_factory=list)


@dataclass(slots=True)
class Search:
    """Coordinate descent: bounded in time, and it stops early where a challenger has no chance.

    Args:
        factors: what to try, in this order.
        open_lane: makes an engine with some options; raises PyllamaError where that cannot be.
        clock: seconds.
        seconds: what the search may take. What runs at that moment is finished.
        allows_lossy: apply also what changes the model's answers.
        report: told of each trial as soon as it ends.
    """

    factors: Sequence[Factor]
    open_lane: Callable[[Options], Lane]
    clock: Callable[[], float]
    seconds: float
    allows_lossy: bool = False
    report: Callable[[Trial], None] = lambda _: None
    _best: dict[str, Choice] = field(default_factory=dict)
    _trials: list[Trial] = field(default_factory=list)

    def run(self, lane: Lane) -> Outcome:
        """Search from a lane of the defaults, which it closes."""
        start_s = self.clock()
        end_s = start_s + self.seconds
        search_end_s = start_s + self.seconds * _SEARCH_SHARE
        rest = [(factor, choice) for factor in self.factors for choice in factor.choices[1:]]
        try:
            while rest:
                factor, choice = rest.pop(0)
                left_s = search_end_s - self.clock()
                # Twice its share, since others end early.
                deadline_s = self.clock() + min(left_s, 2 * left_s / (len(rest) + 1))
                lane = self._try(lane, factor, choice, deadline_s)
        finally:
            lane.close()
        if self._best:
            self._confirm(end_s)
        return Outcome(options_of(self._best, self.factors), self._trials)

    def _try(self, incumbent: Lane, factor: Factor, choice: Choice, deadline_s: float) -> Lane:
        """Measure one choice; return the lane of what is best now, the other one closed."""
        if self.clock() >= deadline_s:
            self._end(Trial(factor.name, choice.label, Verdict.UNFINISHED, {}))
            return incumbent
        candidate = {**self._best, factor.name: choice}
        try:
            challenger = self.open_lane(options_of(candidate, self.factors))
        except PyllamaError as error:
            self._end(Trial(factor.name, choice.label, Verdict.FAILED, {}, note=str(error)))
            return incumbent
        winner = incumbent
        try:
            trial = self._duel(incumbent, challenger, factor, choice, deadline_s)
            if trial.is_used:
                self._best, winner = candidate, challenger
        finally:
            (incumbent if winner is challenger else challenger).close()
        self._end(trial)
        return winner

    def _duel(
        self,
        incumbent: Lane,
        challenger: Lane,
        factor: Factor,
        choice: Choice,
        deadline_s: float,
    ) -> Trial:
        duel = Duel()
        try:
            verdict = self._fight(duel, incumbent, challenger, factor.figures, deadline_s)
        except PyllamaError as error:
            return Trial(factor.name, choice.label, Verdict.FAILED, duel.pairs, note=str(error))
        is_better = verdict is Verdict.BETTER
        is_held_back = is_better and factor.is_lossy and not self.allows_lossy
        return Trial(
            factor.name,
            choice.label,
            verdict,
            duel.pairs,
            is_used=is_better and not is_held_back,
            note="not used: it changes the answers; --allow-kv-quant" if is_held_back else "",
        )

    def _fight(
        self,
        duel: Duel,
        incumbent: Lane,
        challenger: Lane,
        figures: Sequence[str],
        deadline_s: float,
    ) -> Verdict:
        """Measure in turns until the verdict is clear, or time is up."""
        while True:
            for place, figure in enumerate(figures):
                if self.clock() >= deadline_s:
                    return Verdict.UNFINISHED
                # Who goes first changes: what warms up or slows down hits both.
                if (duel.n_rounds + place) % 2:
                    theirs, ours = challenger.measure(figure), incumbent.measure(figure)
                else:
                    ours, theirs = incumbent.measure(figure), challenger.measure(figure)
                duel.add(figure, Pair(ours, theirs))
            if (verdict := duel.verdict()) is not None:
                return verdict

    def _confirm(self, deadline_s: float) -> None:
        """Compare the best with the defaults once more, and go back to them where it is slower.

        Each step was measured against the one before it, so errors may have added up.
        """
        figures = {figure: None for factor in self.factors for figure in factor.figures}
        duel = Duel()
        try:
            with (
                closing(self.open_lane(())) as defaults,
                closing(self.open_lane(options_of(self._best, self.factors))) as best,
            ):
                verdict = self._fight(duel, defaults, best, tuple(figures), deadline_s)
        except PyllamaError as error:
            self._best = {}
            self._end(Trial("all of it", "", Verdict.FAILED, duel.pairs, note=str(error)))
            return
        is_kept = not duel.pairs or score_of(duel.pairs).middle > 1
        if not is_kept:
            self._best = {}
        self._end(Trial("all of it", "", verdict, duel.pairs, is_used=is_kept))

    def _end(self, trial: Trial) -> None:
        self._trials.append(trial)
        self.report(trial)
