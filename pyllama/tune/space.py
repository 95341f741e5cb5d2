"""What is tried: one factor at a time, and for each what it can change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

Options = tuple[tuple[str, ...], ...]

PREFILL = "prefill"
"""Tokens of one prompt computed a second, in an otherwise idle engine."""
DECODE_ONE = "decode, 1"
"""Tokens generated a second by one request at some depth."""
DECODE_ALL = "decode, all"
"""The same by requests in every slot, each with a prompt of its own."""

_UBATCH = 512


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of a factor."""

    label: str
    options: Options = ()
    """None of them for the value that holds without being asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """Something that may change the speed."""

    name: str
    choices: tuple[Choice, ...]
    """The default first."""
    figures: tuple[str, ...]
    """What it can move, and so what is measured."""
    is_lossy: bool = False
    """Whether it changes what the model says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the space depends on."""

    given: Collection[str]
    """Options that the operator named: they stay as they are."""
    n_threads: int
    """Threads of the default."""
    n_cpus: int
    n_slots: int
    depth: int
    """Tokens of a measured prompt."""


def space(facts: Facts) -> tuple[Factor, ...]:
    """Return what to try, the most promising first.

    The step time is no part of it: it trades the gaps of running answers for the pace of new
    prompts, which is a wish and no property of a machine; chunks adapt to it by themselves.
    """
    several = (DECODE_ALL,) if facts.n_slots > 1 else ()
    all_figures = (PREFILL, DECODE_ONE, *several)
    factors = [
        _factor("flash attention", all_figures, [("auto",), ("off", "--flash-attn", "off")]),
        _threads("threads", (DECODE_ONE,), facts),
        # llama.cpp computes a batch of one token with the other threads.
        _threads("threads, batch", (PREFILL, *several), facts),
        _ubatch(facts),
        _factor("KV layout", all_figures, [("streams",), ("pool", "--kv-unified")]),
        Factor(
            name="KV type",
            choices=(Choice("f16"), Choice("q8_0", _QUANTISED)),
            figures=all_figures,
            is_lossy=True,
        ),
    ]
    if facts.n_slots == 1:
        # A single slot is a pool already.
        factors = [factor for factor in factors if factor.name != "KV layout"]
    return tuple(f for f in factors if len(f.choices) > 1 and not _is_given(f, facts.given))


_QUANTISED: Options = (
    ("--flash-attn", "on"),
    ("--cache-type-k", "q8_0"),
    ("--cache-type-v", "q8_0"),
)


def options_of(candidate: Mapping[str, Choice], factors: Iterable[Factor]) -> Options:
    """Return the options of a choice for some factors; of the same option the last one counts."""
    merged: dict[str, tuple[str, ...]] = {}
    for factor in factors:
        if factor.name in candidate:
            merged.update({option[0]: option for option in candidate[factor.name].options})
    return tuple(merged.values())


def _factor(name: str, figures: tuple[str, ...], rows: list[tuple[str, ...]]) -> Factor:
    choices = tuple(Choice(label, (tuple(words),) if words else ()) for label, *words in rows)
    return Factor(name=name, choices=choices, figures=figures)


def _threads(name: str, figures: tuple[str, ...], facts: Facts) -> Factor:
    default = facts.n_threads
    others = {facts.n_cpus, default // 2, default * 3 // 4} - {default, 0}
    choices = [Choice(str(default))]
    for n_threads in sorted(others, reverse=True):
        options: Options = (("--threads-batch", str(n_threads)),)
        if name == "threads":
            # Said too, because batches would follow.
            options = (("--threads", str(n_threads)), ("--threads-batch", str(default)))
        choices.append(Choice(str(n_threads), options))
    return Factor(name=name, choices=tuple(choices), figures=figures)


def _ubatch(facts: Facts) -> Factor:
    sizes = (_UBATCH, 256, 1024, 128, 2048)
    # A piece longer than the prompt is the prompt: then two sizes are the same.
    rows = [
        (str(n), "--ubatch-size", str(n))
        for n in sizes[1:]
        if min(n, facts.depth) != min(_UBATCH, facts.depth) and n < 2 * facts.depth
    ]
    return _factor("ubatch", (PREFILL,), [(str(_UBATCH),), *rows])


def _is_given(factor: Factor, given: Collection[str]) -> bool:
    if factor.name == "threads, batch" and "--threads" in given:
        return True
    own = "--threads" if factor.name == "threads" else None
    names = [option[0] for choice in factor.choices for option in choice.options]
    return any(name in given for name in ([own] if own else names))
