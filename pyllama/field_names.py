"""Fields in the caller's words: what is wrong may be known by another name where it is found."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@contextmanager
def caller_names(names: Mapping[str, str]) -> Iterator[None]:
    """Let a refusal name the field that the caller sent, not the one that was made of it.

    Args:
        names: from a path to another. The longest one that a refused path begins with counts.
    """
    try:
        yield
    except InvalidRequest as error:
        if error.param is not None:
            error.call(rename(error.param, names))
        raise


def rename(path: str, names: Mapping[str, str]) -> str:
    """Return the path with its longest known beginning replaced."""
    known = [name for name in names if path == name or path.startswith((f"{name}.", f"{name}["))]
    longest = max(known, key=len, default=None)
    return path if longest is None else names[longest] + path[len(longest) :]


def one_of(fields: Mapping[str, Any], names: Sequence[str]) -> Any:
    """Return the value that a caller gave under one of several names for the same, or None.

    Raises:
        InvalidRequest: two names have different values.
    """
    given = [name for name in names if name in fields]
    if not given:
        return None
    value = fields[given[0]]
    if any(fields[name] != value for name in given):
        raise InvalidRequest(
            f"{' and '.join(given)} mean the same and have different values; send one of them",
            param=given[0],
        )
    return value


def spelled(
    fields: Mapping[str, Any], spellings: Mapping[str, Sequence[str]]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what a caller gave, by the library's names, and what the caller calls each of these.

    Args:
        fields: what was given.
        spellings: for each of the library's names those that may be given.

    Raises:
        InvalidRequest: two names for the same have different values.
    """
    values: dict[str, Any] = {}
    names: dict[str, str] = {}
    for name, known in spellings.items():
        given = next((spelling for spelling in known if spelling in fields), None)
        if given is not None:
            values[name], names[name] = one_of(fields, known), given
    return values, names
