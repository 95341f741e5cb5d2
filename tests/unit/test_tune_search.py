"""The search finds the optimum, takes noise for noise, keeps its time, and closes what it opens."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

import pytest

from pyllama.errors import ModelLoadError, NativeError
from pyllama.tune.judge import Duel, Pair, Verdict, score_of
from pyllama.tune.search import Outcome, Search, Trial
from pyllama.tune.space import DECODE_ONE, PREFILL, Choice, Factor, Options

Speed = Callable[[Options, str], float]


class Machine:
    """Lanes with made-up speeds on a made-up clock: a measurement takes one second."""

    def __init__(self, speed: Speed, noise: tuple[float, ...] = (1.0,)) -> None:
        self.speed = speed
        self.noise = cycle(noise)
        self.now_s = 0.0
        self.opened: list[Options] = []
        self.n_open = 0

    def open(self, options: Options) -> FakeLane:
        if ("--bad",) in options:
            raise ModelLoadError("m", "no memory.")
        self.opened.append(options)
        self.n_open += 1
        assert self.n_open <= 2
        return FakeLane(self, options)


class FakeLane:
    def __init__(self, machine: Machine, options: Options) -> None:
        self.machine = machine
        self.options = options
        self.is_closed = False

    def measure(self, figure: str) -> float:
        assert not self.is_closed
        self.machine.now_s += 1.0
        return 100 * self.machine.speed(self.options, figure) * next(self.machine.noise)

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self.machine.n_open -= 1


def factor(name: str, *labels: str, figures: tuple[str, ...] = (PREFILL, DECODE_ONE)) -> Factor:
    options = [Choice(label, ((f"--{name}", label),)) for label in labels]
    return Factor(name=name, choices=(Choice("default"), *options), figures=figures)


def search(
    machine: Machine, *factors: Factor, seconds: float = 1000.0, allows_lossy: bool = False
) -> Outcome:
    made = Search(factors, machine.open, lambda: machine.now_s, seconds, allows_lossy)
    outcome = made.run(machine.open(()))
    assert machine.n_open == 0
    return outcome


def product(**gains: float) -> Speed:
    """Return speeds that each option ``name_value`` multiplies."""

    def speed(options: Options, _figure: str) -> float:
        result = 1.0
        for name, value in options:
            result *= gains.get(f"{name.removeprefix('--')}_{value}", 1.0)
        return result

    return speed


def verdicts(outcome: Outcome) -> dict[str, Verdict]:
    return {f"{trial.name} {trial.label}".strip(): trial.verdict for trial in outcome.trials}


def test_the_optimum_is_found() -> None:
    """Of two factors the best value of each is taken, and the whole is confirmed."""
    machine = Machine(product(fa_off=1.2, ub_256=0.95, ub_128=1.1))
    outcome = search(machine, factor("fa", "off"), factor("ub", "256", "128"))
    assert outcome.options == (("--fa", "off"), ("--ub", "128"))
    assert verdicts(outcome) == {
        "fa off": Verdict.BETTER,
        "ub 256": Verdict.NOT_BETTER,
        "ub 128": Verdict.BETTER,
        "all of it": Verdict.BETTER,
    }
    assert score_of(outcome.trials[-1].pairs).middle == pytest.approx(1.32)


def test_the_defaults_may_be_best() -> None:
    """Where nothing gains, no option is used and there is nothing to confirm."""
    outcome = search(Machine(product(fa_off=0.97)), factor("fa", "off"))
    assert (outcome.options, verdicts(outcome)) == ((), {"fa off": Verdict.NOT_BETTER})


def test_each_factor_meets_the_best_so_far() -> None:
    """A later challenger carries what an earlier one won."""
    machine = Machine(product(fa_off=1.2))
    search(machine, factor("fa", "off"), factor("ub", "256"))
    assert machine.opened[2] == (("--fa", "off"), ("--ub", "256"))


def test_a_gain_in_one_figure_may_pay_for_another() -> None:
    """The figures count the same: 23 % faster decoding outweighs 6 % slower prefill."""

    def speed(options: Options, figure: str) -> float:
        return (1.23 if figure == DECODE_ONE else 0.94) if options else 1.0

    assert search(Machine(speed), factor("fa", "off")).options == (("--fa", "off"),)


@pytest.mark.parametrize("gain", [1.0, 1.02, 1.029])
def test_a_small_gain_is_noise(gain: float) -> None:
    """Up to three percent nothing is changed."""
    assert search(Machine(product(fa_off=gain)), factor("fa", "off")).options == ()


def test_a_gain_within_the_spread_is_noise() -> None:
    """A median that is better by less than the pairs scatter does not count."""
    # Incumbent and challenger, in turns the other way round: 1.3, 0.9, 1.05, 0.92, 1.1.
    noise = (1.0, 1.3, 0.9, 1.0, 1.0, 1.05, 0.92, 1.0, 1.0, 1.1)
    one = factor("fa", "off", figures=(PREFILL,))
    outcome = search(Machine(product(), noise), one)
    assert outcome.options == ()
    assert len(outcome.trials[0].pairs[PREFILL]) == 5


def test_drift_cancels() -> None:
    """A machine that slows down all the time slows both sides: a gain is still seen."""
    machine = Machine(product(fa_off=1.1))
    machine.noise = cycle(1 / (1 + 0.02 * n) for n in range(1000))
    assert search(machine, factor("fa", "off")).options == (("--fa", "off"),)


def test_the_hopeless_is_measured_once() -> None:
    """A challenger at half the speed costs one round."""
    outcome = search(Machine(product(t_1=0.5)), factor("t", "1"))
    assert verdicts(outcome) == {"t 1": Verdict.WORSE}
    assert [len(pairs) for pairs in outcome.trials[0].pairs.values()] == [1, 1]


@pytest.mark.parametrize("seconds", [0.0, 1.0, 7.0, 20.0, 100.0])
def test_time_is_kept(seconds: float) -> None:
    """The search ends by itself, at most one pair of measurements late."""
    noise = (1.0, 1.1, 0.95, 1.02, 1.2)
    machine = Machine(product(), noise)
    factors = [factor(name, "1", "2", "3") for name in "abcdef"]
    outcome = search(machine, *factors, seconds=seconds)
    assert machine.now_s <= seconds + 2
    assert len([trial for trial in outcome.trials if trial.name != "all of it"]) == 18


def test_what_has_no_time_is_not_used() -> None:
    """A trial that was cut short changes nothing, however good it looked."""
    outcome = search(Machine(product(fa_off=2.0)), factor("fa", "off"), seconds=4.0)
    assert (outcome.options, verdicts(outcome)) == ((), {"fa off": Verdict.UNFINISHED})


def test_what_cannot_run_is_told_and_passed_over() -> None:
    """A context that llama.cpp refuses, or a step that fails, is a trial that says why."""

    def speed(options: Options, _figure: str) -> float:
        if ("--sick", "1") in options:
            raise NativeError("llama_decode", -3)
        return 1.5 if ("--fa", "off") in options else 1.0

    bad = Factor(name="bad", choices=(Choice(""), Choice("1", (("--bad",),))), figures=(PREFILL,))
    outcome = search(Machine(speed), bad, factor("sick", "1"), factor("fa", "off"))
    assert outcome.options == (("--fa", "off"),)
    first, second = outcome.trials[:2]
    assert (first.verdict, first.note) == (Verdict.FAILED, "m: no memory.")
    assert (second.verdict, second.note) == (Verdict.FAILED, "llama_decode: -3")


def test_what_changes_answers_has_to_be_allowed() -> None:
    """A faster but lossy choice is measured and shown; it is used only where that was asked for."""
    lossy = Factor(
        name="kv",
        choices=(Choice("f16"), Choice("q8_0", (("--kv", "q8_0"),))),
        figures=(PREFILL,),
        is_lossy=True,
    )
    for is_allowed in (False, True):
        outcome = search(Machine(product(kv_q8_0=1.5)), lossy, allows_lossy=is_allowed)
        assert outcome.options == ((("--kv", "q8_0"),) if is_allowed else ())
        trial = outcome.trials[0]
        assert (trial.verdict, trial.is_used) == (Verdict.BETTER, is_allowed)
        assert ("--allow-kv-quant" in trial.note) is not is_allowed


def test_steps_that_do_not_add_up_are_taken_back() -> None:
    """Where the whole turns out slower than the defaults, the defaults stay."""
    seen: list[Trial] = []

    def speed(options: Options, _figure: str) -> float:
        is_over = any(trial.name == "fa" for trial in seen)
        return (0.8 if is_over else 1.2) if options else 1.0

    machine = Machine(speed)
    made = Search([factor("fa", "off")], machine.open, lambda: machine.now_s, 1e3)
    made.report = seen.append
    outcome = made.run(machine.open(()))
    assert outcome.options == ()
    assert [trial.is_used for trial in seen] == [True, False]
    assert machine.n_open == 0


def test_an_interrupt_closes_everything() -> None:
    """Ctrl-C in the middle of a measurement leaves no engine behind."""

    def speed(options: Options, _figure: str) -> float:
        if options:
            raise KeyboardInterrupt
        return 1.0

    machine = Machine(speed)
    with pytest.raises(KeyboardInterrupt):
        search(machine, factor("fa", "off"))
    assert machine.n_open == 0


def test_a_duel_waits_for_three_rounds() -> None:
    """Even a clear winner is measured three times, a clear loser once."""
    duel = Duel()
    for expected in (None, None, Verdict.BETTER):
        duel.add(PREFILL, Pair(100, 150))
        assert duel.verdict() is expected
