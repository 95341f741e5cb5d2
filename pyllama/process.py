"""The process that something belongs to: a forked one has its memory, but none of its threads."""

from __future__ import annotations

import os

from pyllama.errors import Forked


class Process:
    """The process that this object was made in."""

    __slots__ = ("_id",)

    def __init__(self) -> None:
        self._id = os.getpid()

    @property
    def is_here(self) -> bool:
        """Whether the caller runs in it."""
        return os.getpid() == self._id

    def check(self) -> None:
        """Raise Forked where the caller runs in another one."""
        if not self.is_here:
            raise Forked(
                f"the model belongs to process {self._id}, of which this one, {os.getpid()}, was "
                "forked: the threads that compute are not here; load the model after the fork, or "
                "start processes with multiprocessing's 'spawn'"
            )
