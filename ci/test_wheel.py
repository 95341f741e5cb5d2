"""Check an installed wheel, with no checkout in sight: run by cibuildwheel after each build."""

from __future__ import annotations

import importlib
import subprocess
import sys
import sysconfig
from importlib.metadata import distribution
from pathlib import Path

# What a wheel must carry beside our own licence; see docs/licenses.md.
LICENCES = {"llama.cpp/LICENSE", "llama.cpp/licenses/LICENSE-jsonhpp"}


def main() -> None:
    """Import every public name, run the command, and look for the licences."""
    pyllama = importlib.import_module("pyllama")
    place = Path(pyllama.__file__ or "").resolve()
    if not place.is_relative_to(Path(sysconfig.get_path("platlib")).resolve()):
        raise SystemExit(f"tested {place}, which is not the installed wheel")
    for name in pyllama.__all__:
        getattr(pyllama, name)

    files = {str(path) for path in distribution("pyllama").files or ()}
    if not any(file.endswith("wsgi/page/static/index.html") for file in files):
        raise SystemExit("the wheel lacks the chat page")
    missing = {name for name in LICENCES if not any(file.endswith(name) for file in files)}
    if missing:
        raise SystemExit(f"the wheel lacks licences: {', '.join(sorted(missing))}")

    for arguments in (["--version"], ["serve", "--help"]):
        subprocess.run([sys.executable, "-m", "pyllama.cli", *arguments], check=True)
    print(f"{place.parent}: {len(files)} files, {len(pyllama.__all__)} public names")


if __name__ == "__main__":
    main()
