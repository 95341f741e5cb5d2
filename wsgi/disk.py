"""A disk without room: whatever writes to one may find it so."""

from __future__ import annotations

import errno

from pyllama.errors import DiskFull

# No block is left, or the quota is used up, or the process may not write a file of that size.
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def is_no_room(exc: Exception) -> bool:
    """Return whether an exception says that a disk is full."""
    return isinstance(exc, OSError) and exc.errno in _NO_ROOM


def foreseen(exc: Exception) -> Exception:
    """Return an exception, or DiskFull in the place of one that says so; paths stay here."""
    if is_no_room(exc):
        return DiskFull("the server's disk has no room for this; send less, or try again later")
    return exc
