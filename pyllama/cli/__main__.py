"""``python -m pyllama.cli``: the command where its script is not on the PATH."""

from __future__ import annotations

import sys

from pyllama.cli import main

sys.exit(main())
