"""Whether answers about pictures are llama-server's: token by token, with the numbers behind them.

Greedy answers of the same file may still differ: llama.cpp's kernels round differently for other
sizes of batches, and a small model's answer may turn on that. How much is measured beside it, as
the difference between a server and itself with other micro-batches. pyllama answers on llama.cpp's
kernels, as llama-server does, and on its own beside that.
"""

from __future__ import annotations

import argparse
import logging
from typing import Any

from bench import compare, pictures, report
from bench.answers import Answer, ask
from bench.answers import compare as compare_answers
from bench.media_models import MediaModel
from bench.server import PYLLAMA, llama_server, serve
from bench.workloads import Load

logger = logging.getLogger(__name__)

_OTHER_BATCHES = ("-ub", "16")
_NO_KERNELS = ("--no-kernels",)
# Two, though one is asked at a time: where there is one slot, pyllama keeps earlier prompts beside
# it, and a row that looks over more cells is rounded in another way.
_N_SLOTS = 2
_N_CTX = 8192

Answers = dict[str, list[Answer]]
"""What each server answered, by its name and the flags of its own."""


def measure(files: MediaModel, args: argparse.Namespace) -> dict[str, Any]:
    """Ask the servers, each with two sizes of batches; return how their answers compare."""
    chats = pictures.chats(args.prompts)
    answers: Answers = {}
    for side, kernels in ((PYLLAMA, _NO_KERNELS), (llama_server(), ()), (PYLLAMA, ())):
        for batches in ((), _OTHER_BATCHES):
            own = (*kernels, *batches)
            load = Load(_N_SLOTS, _N_CTX, (), ("--mmproj", str(files.projector), *own))
            name = " ".join((side.name, *own))
            logger.info("%s: %d prompts", name, len(chats))
            flags = compare.flags(side, load, args)
            with serve(side, files.model, flags, is_tuned=args.tuned) as server:
                answers[name] = [ask(server.port, chat, args.tokens) for chat in chats]
    check_same_prompts(answers)
    ours = next(iter(answers.values()))
    return {
        "n_prompt": [answer.n_prompt for answer in ours],
        # How many there are to be told apart: equal answers say nothing if all are one.
        "n_different": len({answer.ids for answer in ours}),
        **pairs(answers),
    }


def check_same_prompts(answers: Answers) -> None:
    """Compare the numbers of prompt tokens.

    Raises:
        WorkDiffers: two servers made different prompts of a chat.
    """
    for number, asked in enumerate(zip(*answers.values(), strict=True)):
        counts = [answer.n_prompt for answer in asked]
        if len(set(counts)) != 1:
            found = dict(zip(answers, counts, strict=True))
            raise compare.WorkDiffers(f"prompt {number} has other numbers of tokens: {found}")


def pairs(answers: Answers) -> dict[str, Any]:
    """Return the two servers beside each other, and each beside itself in other ways.

    ``answers`` are those of pyllama on llama.cpp's kernels, of llama-server, of pyllama on its
    own, each first as it is and then with other batches.
    """
    ours, our_other, theirs, their_other, kernels, kernels_other = answers
    return {
        "servers": pair(answers, ours, theirs),
        "batches": [pair(answers, ours, our_other), pair(answers, theirs, their_other)],
        "kernels": [pair(answers, kernels, kernels_other), pair(answers, kernels, ours)],
    }


def table(data: dict[str, Any]) -> str:
    """Return this part of the record as text."""
    part, settings = data["equal"], data["settings"]
    what = (
        f"{len(part['n_prompt'])} chats with pictures, {settings['tokens']} tokens each, encoder "
        f"{settings['projector']}; {part['n_different']} different answers"
    )
    lines = [
        f"{report.place(data)}: {what}",
        "",
        "| answers | equal | largest difference of a logit |",
        "| --- | ---: | ---: |",
    ]
    for pair in (part["servers"], *part["batches"], *part["kernels"]):
        rows = pair["chats"]
        n_equal = sum(row["fork"] is None for row in rows)
        name = " and ".join(pair["sides"])
        lines.append(f"| {name} | {n_equal} of {len(rows)} | {_largest(pair):.4f} |")
    return "\n".join([*lines, *_forks(part)])


def _forks(part: dict[str, Any]) -> list[str]:
    """Return a table of the places where the servers' answers go apart; no line if there is none.

    A difference there is one of rounding if other batches of one server make as large a one.
    """
    yardstick = max(_largest(pair) for pair in part["batches"])
    forks = {n: row["fork"] for n, row in enumerate(part["servers"]["chats"]) if row["fork"]}
    lines = [
        f"| {number} | {fork['place']} | {fork['margin']:.4f} | {fork['distance']:.4f} | "
        f"{'within' if fork['distance'] <= yardstick else 'beyond'} {yardstick:.4f} |"
        for number, fork in forks.items()
    ]
    head = [
        "",
        "| chat | goes apart at token | candidates differ by | servers by | batches explain it |",
        "| ---: | ---: | ---: | ---: | --- |",
    ]
    return [*head, *lines] if lines else []


def pair(answers: Answers, first: str, second: str) -> dict[str, Any]:
    """Compare what two servers answered to each chat."""
    asked = zip(answers[first], answers[second], strict=True)
    return {
        "sides": [first, second],
        "chats": [compare_answers(a, b).as_dict() for a, b in asked],
    }


def _largest(pair: dict[str, Any]) -> float:
    largest: float = max(row["difference"] for row in pair["chats"])
    return largest
