"""The compiled modules: Cython over llama.cpp, one module a concept.

The stubs beside this file are their readable face; the sources are in ext/.
"""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("pyllama._ext.context") is None:
    raise ImportError(
        "pyllama's compiled modules are missing. In a checkout the source tree hides an installed "
        "package: run `pip install -e .` there, or start Python from another folder."
    )
