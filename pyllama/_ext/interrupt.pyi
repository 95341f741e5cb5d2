"""Ends native work that takes long where its caller wants no more.

That is the rendering of a template and the tokenising of a text: both ask some 20 times a second.
"""

from collections.abc import Callable

def install(check: Callable[[], object]) -> None:
    """Set what is called on the thread of the work; what it raises, the work raises."""

def take_interrupt() -> BaseException | None:
    """Return what ended the last native call of this thread, if the check did; only once."""
