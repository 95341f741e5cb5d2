"""Print the settings that the environment asks for, as one line of JSON."""

from __future__ import annotations

import os
import sys

from pyllama.errors import PyllamaError
from pyllama.settings.sources import command_line, from_arguments


def main() -> int:
    """Read the environment; print settings, or the reason why there are none."""
    try:
        settings = from_arguments(command_line(os.environ), os.environ)
    except PyllamaError as error:
        print(error, file=sys.stderr)  # noqa: T201  (the answer of a command)
        return 1
    print(settings.to_json())  # noqa: T201  (same)
    return 0


if __name__ == "__main__":
    sys.exit(main())
