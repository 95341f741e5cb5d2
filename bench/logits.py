"""How far a sequence's logits move when others share its batch: pyllama's and llama.cpp's own.

llama.cpp's kernels round differently for different batch sizes. The engine may add nothing to
that: the difference through its scheduler must be the one that bare decodes of the same batch
sizes have.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from bench import record
from pyllama import Llama, hub
from pyllama._ext.batch import Batch
from pyllama._ext.context import Context
from pyllama._ext.memory import Memory
from pyllama._ext.model import Model
from pyllama._ext.options import Options

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

Row = list[float]
Prompts = list[list[int]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this measurement's options."""
    parser.add_argument("--model", default="default", help="model reference (default: default)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=16, help="decode steps that are compared")


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Compare batched with alone, through the engine and without it; return the record."""
    model = hub.resolve(args.model)
    options = {"ctx_size": 512 * args.sequences, "parallel": args.sequences}
    with Llama(str(model), threads=args.threads, max_tokens=args.tokens, **options) as llm:
        counts = [range(10 * i + 7, 10 * i + 15) for i in range(args.sequences)]
        texts = ["".join(f"{n}, " for n in count).strip() for count in counts]
        prompts = [list(llm.text_prompt(text).tokens) for text in texts]
        engine = _largest(_through_engine(llm, prompts))
    bare = _largest(_Bare(model, args).compare(prompts))
    return {
        "workload": f"{args.sequences} sequences in one batch against each alone",
        **record.context(model, **vars(args) | {"module": None}),
        "engine_largest_difference": engine,
        "llama_cpp_largest_difference": bare,
    }


def table(data: dict[str, Any]) -> str:
    """Return the record as text."""
    return "\n".join(
        [
            f"{data['model']}, commit {data['commit']}, {data['machine']['cpu']}",
            f"{data['workload']}: largest difference of a logit",
            f"through the engine   {data['engine_largest_difference']:.6f}",
            f"llama.cpp alone      {data['llama_cpp_largest_difference']:.6f}",
        ]
    )


def _largest(pairs: list[tuple[Row, Row]]) -> float:
    return max(abs(a - b) for alone, batched in pairs for a, b in zip(alone, batched, strict=True))


def _through_engine(llm: Llama, prompts: Prompts) -> list[tuple[Row, Row]]:
    """Generate every prompt alone, then all at once; pair the rows at equal token histories."""
    alone: dict[tuple[int, ...], Row] = {}
    batched: dict[tuple[int, ...], Row] = {}
    with _Tap(llm, alone):
        for prompt in prompts:
            llm.generate(prompt, cache_prompt=False)
    with _Tap(llm, batched):
        threads = [
            threading.Thread(target=llm.generate, args=(prompt,), kwargs={"cache_prompt": False})
            for prompt in prompts
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return [(alone[key], batched[key]) for key in alone.keys() & batched.keys()]


class _Tap:
    """Keeps every row of logits that the engine samples from, by the tokens that led to it."""

    def __init__(self, llm: Llama, rows: dict[tuple[int, ...], Row]) -> None:
        self._runner = llm._engine._runner  # noqa: SLF001  (a look inside is the point)
        self._rows = rows
        self._run: Callable[[Any], Any] = self._runner.run

    def __enter__(self) -> None:
        self._runner.run = self._observe

    def __exit__(self, *_: object) -> None:
        self._runner.run = self._run

    def _observe(self, plan: Any) -> Any:
        result = self._run(plan)
        row = -1
        for chunk in plan.chunks:
            row += chunk.count
            if chunk.wants_token:
                history = tuple(chunk.sequence.tokens[: chunk.start + chunk.count])
                self._rows[history] = list(self._runner._context.logits(row))  # noqa: SLF001
        return result


class _Bare:
    """The same work with llama_decode alone: greedy, one batch a step."""

    def __init__(self, path: Path, args: argparse.Namespace) -> None:
        options = Options()
        options.set("--ctx-size", str(512 * args.sequences))
        options.set("--parallel", str(args.sequences))
        options.set("--threads", str(args.threads))
        self._n_tokens = args.tokens
        self._model = Model(str(path), options)

    def compare(self, prompts: Prompts) -> list[tuple[Row, Row]]:
        """Return rows of each sequence alone and in one batch with the others."""
        context = Context(self._model, 0)
        try:
            alone = [self._generate(context, [prompt])[0] for prompt in prompts]
            batched = self._generate(context, prompts)
        finally:
            context.close()
        return [
            (a, b)
            for rows_alone, rows_batched in zip(alone, batched, strict=True)
            for (key_a, a), (key_b, b) in zip(rows_alone, rows_batched, strict=True)
            if key_a == key_b
        ]

    def _generate(
        self, context: Context, prompts: Prompts
    ) -> list[list[tuple[tuple[int, ...], Row]]]:
        Memory(context).clear()
        batch = Batch(context.n_batch)
        sequences = [list(prompt) for prompt in prompts]
        n_past = [0] * len(prompts)
        rows: list[list[tuple[tuple[int, ...], Row]]] = [[] for _ in prompts]
        for _ in range(self._n_tokens):
            batch.clear()
            indices = [
                batch.add(tokens, n_past[i], len(tokens) - n_past[i], i, True)  # noqa: FBT003
                for i, tokens in enumerate(sequences)
            ]
            context.decode(batch)
            for i, index in enumerate(indices):
                logits = list(context.logits(index))
                rows[i].append((tuple(sequences[i]), logits))
                n_past[i] = len(sequences[i])
                sequences[i].append(max(range(len(logits)), key=logits.__getitem__))
        return rows
