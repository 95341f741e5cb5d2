"""The command ``pyllama``: one module a command, and the door that errors leave by.

Exit status: 0 done, 1 failed, 2 used wrongly. Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from pyllama import __version__
from pyllama.cli import batch, pull, run, serve, tune
from pyllama.errors import ConfigError, PyllamaError

_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "serve": serve.run,
    "pull": pull.run,
    "tune": tune.run,
    "run": run.run,
    "batch": batch.run,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; this is the entry point of the console script.

    Args:
        argv: arguments after the program's name; None takes the process's own.

    Returns:
        The exit status.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    # Only the first word is ours: what follows belongs to the command, and for `serve` even its
    # flags are not argparse's to know.
    command = _parser().parse_args(arguments[:1]).command
    try:
        return _COMMANDS[command](arguments[1:])
    except ConfigError as error:
        return _fail(error, status=2)
    except PyllamaError as error:
        return _fail(error, status=1)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the results has seen enough; Python must not try to write the rest at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pyllama",
        description="llama.cpp inside a Python process.",
        epilog="commands:\n"
        "  serve [FLAGS]   serve a model over HTTP; the flags are llama-server's\n"
        "  pull REF        fetch a model and print its path\n"
        "  run [REF]       chat with a model in the terminal, or answer one prompt\n"
        "  batch IN OUT    answer a file of requests, JSON lines in and out\n"
        "  tune [REF]      measure which settings are fastest here, and keep them\n\n"
        "`pyllama COMMAND --help` says more.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"pyllama {__version__}")
    parser.add_argument("command", metavar="COMMAND", choices=sorted(_COMMANDS), help="see below")
    return parser


def _fail(error: PyllamaError, *, status: int) -> int:
    # One line, whatever the message is made of: logs and scripts read it.
    sys.stderr.write(f"pyllama: {' '.join(str(error).split())}\n")
    return status
