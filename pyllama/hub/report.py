"""What a download says on stderr: standard output belongs to results."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Write one line to stderr at once, also where stderr is a buffered pipe."""
    sys.stderr.write(f"pyllama: {text}\n")
    sys.stderr.flush()


def is_terminal() -> bool:
    """Tell whether somebody watches stderr, so that a moving bar makes sense."""
    return sys.stderr.isatty()
