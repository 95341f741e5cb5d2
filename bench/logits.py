"""How far a sequence's logits move when others share its batch: pyllama's and llama.cpp's own.

llama.cpp's kernels round differently for different batch sizes, and a small model's greedy text
may turn on that. The engine may add nothing to it. So every batch that the engine computes is
written down and computed again with bare llama_decode calls: the difference between a sequence
alone and in company must come out the same.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from bench import models, record
from pyllama import Llama
from pyllama._ext.batch import Batch
from pyllama._ext.context import Context
from pyllama._ext.memory import Memory
from pyllama._ext.model import Model
from pyllama._ext.options import Options

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from pyllama.sched import BatchPlan, StepResult

Prompts = list[list[int]]
Rows = dict[tuple[int, ...], list[float]]
"""Logits, shape (n_vocab,), by the tokens that they follow."""

_N_CTX = 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this measurement's options."""
    models.add_argument(parser, default="q4_1")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=16, help="decode steps that are compared")
    parser.add_argument("--numbers", type=int, default=60, help="numbers that a prompt counts")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Compare batched with alone, through the engine and without it; return the record."""
    path = models.resolve(args.model)
    options = {"ctx_size": _N_CTX * args.sequences, "parallel": args.sequences}
    with Llama(str(path), threads=args.threads, max_tokens=args.tokens, **options) as llm:
        starts = [10 * i + 7 for i in range(args.sequences)]
        texts = ["".join(f"{n}, " for n in range(i, i + args.numbers)).strip() for i in starts]
        prompts = [list(llm.text_prompt(text).tokens) for text in texts]
        alone = _generate(llm, prompts, is_batched=False)
        batched = _generate(llm, prompts, is_batched=True)
    model = _load(path, args)
    return {
        "workload": f"{args.sequences} sequences in one batch against each alone",
        **record.context(path, threads=args.threads, tokens=args.tokens, numbers=args.numbers),
        "n_rows": len(alone.rows.keys() & batched.rows.keys()),
        "engine": _largest(alone.rows, batched.rows),
        "llama_cpp": _largest(_replay(model, alone), _replay(model, batched)),
        "engine_against_llama_cpp": _largest(batched.rows, _replay(model, batched)),
    }


def table(data: dict[str, Any]) -> str:
    """Return the record as text."""
    return "\n".join(
        [
            f"{data['model']}, commit {data['commit']}, {data['machine']['cpu']}",
            f"{data['workload']}, {data['n_rows']} rows: largest difference of a logit",
            f"through the engine                {data['engine']:.6f}",
            f"same batches, llama_decode alone  {data['llama_cpp']:.6f}",
            f"engine against llama_decode       {data['engine_against_llama_cpp']:.6f}",
        ]
    )


def _largest(alone: Rows, batched: Rows) -> float:
    """Return the largest difference of a logit between rows with the same history."""
    return max(
        abs(a - b)
        for history in alone.keys() & batched.keys()
        for a, b in zip(alone[history], batched[history], strict=True)
    )


def _generate(llm: Llama, prompts: Prompts, *, is_batched: bool) -> _Tap:
    """Generate every prompt alone, or all at once; return what the engine computed."""
    threads = [
        threading.Thread(target=llm.generate, args=(prompt,), kwargs={"cache_prompt": False})
        for prompt in prompts
    ]
    with _Tap(llm) as tap:
        for thread in threads:
            thread.start()
            if not is_batched:
                thread.join()
        for thread in threads:
            thread.join()
    return tap


class _Tap:
    """Writes down each batch of the engine, and each row of logits by the tokens before it."""

    def __init__(self, llm: Llama) -> None:
        self._runner: Any = llm._engine._generator.runner  # noqa: SLF001 - a look inside is the point
        self.batches: list[list[tuple[list[int], int, int, int]]] = []
        self.rows: Rows = {}

    def __enter__(self) -> _Tap:
        self._run = self._runner.run
        self._runner.run = self._observe
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run = self._run

    def _observe(self, plan: BatchPlan) -> StepResult:
        result: StepResult = self._run(plan)
        batch, row = [], -1
        for chunk in plan.chunks:
            tokens = chunk.sequence.tokens[: chunk.start + chunk.count]
            batch.append((tokens, chunk.start, chunk.count, chunk.seq_id))
            row += chunk.count
            if chunk.wants_token:
                logits = self._runner._context.logits(row)  # noqa: SLF001
                self.rows[tuple(tokens)] = list(logits)
        if batch:
            self.batches.append(batch)
        return result


def _replay(model: Model, tap: _Tap) -> Rows:
    """Compute the same batches with llama_decode alone."""
    context = Context(model, n_ctx_default=0)
    memory, batch = Memory(context), Batch(context.n_batch)
    rows: Rows = {}
    for chunks in tap.batches:
        batch.clear()
        wanted = []
        for tokens, start, count, seq_id in chunks:
            memory.seq_rm(seq_id, start)
            is_wanted = tuple(tokens) in tap.rows
            row = batch.add(tokens, start, count, seq_id, is_wanted)
            if is_wanted:
                wanted.append((tuple(tokens), row))
        context.decode(batch)
        for history, row in wanted:
            rows[history] = list(context.logits(row))
    context.close()
    return rows


def _load(path: Path, args: argparse.Namespace) -> Model:
    options = Options()
    options.set("--ctx-size", str(_N_CTX * args.sequences))
    options.set("--parallel", str(args.sequences))
    options.set("--threads", str(args.threads))
    return Model(str(path), options)
