"""Refusals in the caller's words: what is wrong may be known by another name where it is found."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyllama.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@contextmanager
def renamed(names: Mapping[str, str]) -> Iterator[None]:
    """Let a refusal name the field that the caller sent, not the one that was made of it.

    Args:
        names: from a path to another. The longest one that a refused path begins with counts.
    """
    try:
        yield
    except InvalidRequest as error:
        param = error.param
        if param is not None:
            error.param = path = rename(param, names)
            # As a whole word: "stop" is in "nonstop" too, and "numa" in the flag "--numa".
            word = rf"(?<![\w.-]){re.escape(param)}(?!\w)"
            error.message = re.sub(word, lambda _: path, error.message)
            error.args = (error.message,)
        raise


def rename(path: str, names: Mapping[str, str]) -> str:
    """Return the path with its longest known beginning replaced."""
    known = [name for name in names if path == name or path.startswith((f"{name}.", f"{name}["))]
    longest = max(known, key=len, default=None)
    return path if longest is None else names[longest] + path[len(longest) :]
