"""The HTTP server: a Falcon application over one :class:`pyllama.Llama`.

``gunicorn wsgi:app`` serves it. Importing the package has no side effects: ``app`` is built from
the environment the first time that it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .factory import Application, create_app

    app: Application

__all__ = ["app", "create_app"]


def __getattr__(name: str) -> Any:
    """Build ``app`` and import ``create_app`` on first use."""
    if name == "app":
        from .serve import get_app  # noqa: PLC0415 - see the docstring of the package

        value: Any = get_app()
    elif name == "create_app":
        from .factory import create_app as value  # noqa: PLC0415 - same
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value
