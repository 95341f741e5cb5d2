"""A tuning as text: every trial with its raw figures, then what is used from now on."""

from __future__ import annotations

import statistics

from pyllama.tune.kept import Kept
from pyllama.tune.run import Result
from pyllama.tune.search import Trial
from pyllama.tune.space import DECODE_ALL, DECODE_ONE, PREFILL

FIGURES = (PREFILL, DECODE_ONE, DECODE_ALL)


def line(trial: Trial) -> str:
    """Return one trial as it is told while the search runs."""
    score = f" x {trial.score.middle:.2f}" if trial.score else ""
    return f"{title(trial)}: {trial.verdict.value}{score}"


def table(result: Result) -> str:
    """Return the trials and the result."""
    work = result.workload
    head = ["setting", PREFILL, DECODE_ONE, f"decode, {work.n_parallel}", "speed", "verdict"]
    rows = [head, *(_row(trial) for trial in result.outcome.trials)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        f"{result.model}: tokens/s, as tried / before, medians of turns",
        f"prompts of {work.depth} tokens, answers of {work.n_tokens}",
        "speed: geometric mean of the quotients, and that of their quartiles",
        "",
    ]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    words = " ".join(word for option in result.outcome.options for word in option)
    return "\n".join(
        [
            *lines,
            "",
            f"best here: {words or 'the defaults'} ({result.seconds:.0f} s)",
            *_fate(result),
        ]
    )


def _fate(result: Result) -> list[str]:
    if result.path is None:
        return [f"not kept: {result.doubt}"]
    return [f"kept in {result.path}", "pyllama serve and Llama() use it unless told otherwise."]


def entry(kept: Kept, obstacle: str) -> list[str]:
    """Return one result as it is listed."""
    tuned, record = kept.tuned, kept.record
    return [
        f"{kept.model}: {kept.options}",
        f"  measured {record.get('date', 'once')} by {kept.build}",
        f"  {tuned.n_slots} slots, as far as a slot has {tuned.n_ctx_slot} tokens of context",
        f"  not used: {obstacle}" if obstacle else "  used unless told otherwise",
        f"  {kept.path}",
    ]


def title(trial: Trial) -> str:
    """Return what was tried."""
    return f"{trial.name} {trial.label}".strip()


def _row(trial: Trial) -> list[str]:
    score = trial.score
    # Only the first line of what llama.cpp says fits a table.
    verdict = f"{trial.verdict.value}; {trial.note}" if trial.note else trial.verdict.value
    return [
        title(trial),
        *(_rates(trial, figure) for figure in FIGURES),
        f"{score.middle:.2f} ({score.low:.2f} to {score.high:.2f})" if score else "",
        verdict + (" <- used" if trial.is_used else ""),
    ]


def _rates(trial: Trial, figure: str) -> str:
    pairs = trial.pairs.get(figure)
    if not pairs:
        return ""
    ours = statistics.median(pair.challenger for pair in pairs)
    theirs = statistics.median(pair.incumbent for pair in pairs)
    return f"{ours:.1f} / {theirs:.1f}"
