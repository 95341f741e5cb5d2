"""``pyllama batch IN OUT``: requests from a file, results to another, computed together."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from pyllama.cli.arguments import CommandParser, read_settings
from pyllama.cli.interrupt import Interrupt
from pyllama.errors import ConfigError, InvalidRequest
from pyllama.hub.report import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyllama.cli.batch.journal import Journal
    from pyllama.cli.batch.lines import Line
    from pyllama.cli.batch.source import Source
    from pyllama.settings import Settings


def run(arguments: Sequence[str]) -> int:
    """Answer every line of a file that has no result yet; return the exit status.

    Raises:
        PyllamaError: an option is wrong, the model cannot be had, or the engine failed.
    """
    args, flags = _parser().divide(arguments)
    settings = read_settings(None, flags, os.environ)
    # Imported here so that the other commands work where the extension is not built.
    from pyllama.cli.batch.journal import Journal  # noqa: PLC0415
    from pyllama.cli.batch.source import STANDARD, Source  # noqa: PLC0415

    with closing(Source(args.input)) as source:
        if args.output != STANDARD and source.is_same_file(Path(args.output)):
            raise ConfigError("input and output are the same file")
        with closing(Journal(args.output)) as journal:
            return _Batch(source, journal, is_ordered=args.ordered).run(settings)


class _Batch:
    """One run, and its counts."""

    def __init__(self, source: Source, journal: Journal, *, is_ordered: bool) -> None:
        self._source = source
        self._journal = journal
        self._is_ordered = is_ordered
        self._n_done = 0
        self._n_failed = 0
        self._n_tokens = 0

    def run(self, settings: Settings) -> int:
        from tqdm import tqdm  # noqa: PLC0415  (here only, and it takes a moment)

        from pyllama.cli.batch.results import Result  # noqa: PLC0415  (as above)
        from pyllama.cli.batch.workers import Workers  # noqa: PLC0415
        from pyllama.cli.run import load  # noqa: PLC0415

        logging.getLogger("pyllama").addHandler(logging.NullHandler())
        with (
            load(settings) as llm,
            tqdm(
                total=self._source.count() if sys.stderr.isatty() else None,
                initial=self._journal.n_before,
                unit="line",
                file=sys.stderr,
                disable=not sys.stderr.isatty(),
            ) as bar,
            Interrupt() as interrupt,
        ):
            start_s = time.monotonic()

            def write(result: Result) -> None:
                self._journal.write(result)
                self._n_done += 1
                self._n_failed += result.is_failure
                self._n_tokens += result.n_tokens
                bar.update()

            workers = Workers(llm, self._lines())
            workers.run(write, interrupt, is_ordered=self._is_ordered)
            took_s = time.monotonic() - start_s
        self._report(took_s)
        if interrupt.is_set:
            return 130
        return 1 if self._n_failed + self._journal.n_failed_before else 0

    def _lines(self) -> Iterator[Line]:
        """Yield the lines without a result."""
        from pyllama.cli.batch.lines import read_line  # noqa: PLC0415  (with the rest)
        from pyllama.cli.batch.source import MAX_LINE  # noqa: PLC0415

        for index, data in self._source.lines():
            line = read_line(index, data)
            if len(data) > MAX_LINE:
                fault = InvalidRequest(f"the line is longer than {MAX_LINE} bytes")
                line = type(line)(index=index, fault=fault)
            if not self._journal.has(line):
                yield line

    def _report(self, took_s: float) -> None:
        before = self._journal
        rate = self._n_tokens / took_s if took_s > 0 else 0.0
        text = f"{self._n_done} lines, {self._n_failed} of them failed; "
        text += f"{self._n_tokens} tokens in {took_s:.1f} s, {rate:.0f}/s"
        if before.n_before:
            text += f"; {before.n_before} were there, {before.n_failed_before} of them failed"
        say(text)


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="pyllama batch",
        usage="pyllama batch IN OUT [--ordered] [FLAGS]",
        description="Answer the requests in a file, one JSON object a line, and write a line for "
        "each to another file. Lines that have their result there already are left out, so that a "
        "batch which was stopped goes on where it ended.",
        epilog='A request is OpenAI\'s {"custom_id": ..., "method": "POST", "url": '
        '"/v1/chat/completions", "body": {...}}, or {"id": ..., "messages": [...]} or {"prompt": '
        "...} with options beside it. FLAGS are those of `pyllama serve`, such as -m model.gguf, "
        "and -np 16 for sixteen at a time.",
    )
    parser.add_argument("input", metavar="IN", help="JSON lines; - is standard input")
    parser.add_argument("output", metavar="OUT", help="JSON lines; - is standard output")
    parser.add_argument(
        "--ordered", action="store_true", help="write results in the order of the requests"
    )
    return parser
