"""The one place where what a decoder raises, or never ends, becomes a refusal."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from pyllama.errors import InvalidMedia, PyllamaError
from pyllama.interruption import checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyllama.media.limits import MediaLimits

_Frame = TypeVar("_Frame")


class Patience:
    """The time that one file may take to decode; it begins now."""

    def __init__(self, limits: MediaLimits) -> None:
        self._limit_s = limits.max_decode_s
        self._end_s = time.monotonic() + self._limit_s

    def over(self, frames: Iterable[_Frame]) -> Iterator[_Frame]:
        """Yield the frames while there is time. Raises InvalidMedia when there is none left."""
        for frame in frames:
            checkpoint()
            if time.monotonic() > self._end_s:
                raise InvalidMedia(f"it takes longer than {self._limit_s:g} seconds to decode")
            yield frame


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Turn whatever a decoder of strangers' bytes raises into InvalidMedia.

    Args:
        name: the format that is read.
    """
    try:
        yield
    except PyllamaError:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise InvalidMedia(f"the {name} cannot be read: {reason}") from error
