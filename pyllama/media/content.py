"""What is left of a file once it is read: pixels or samples, and a digest of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

MARK = "<__media__>"
"""What stands for a piece of media where a prompt is shown as text."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, or a frame of a video."""

    width: int
    height: int
    rgb: bytes
    """3 bytes a pixel, row by row."""

    @property
    def digest(self) -> bytes:
        """SHA-256 of all of it: the same pixels are the same picture, whatever file held them."""
        return hashlib.sha256(b"picture %d %d " % (self.width, self.height) + self.rgb).digest()


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound at the rate that the model takes."""

    samples: bytes
    """Mono, float32 in the machine's byte order."""

    @property
    def digest(self) -> bytes:
        """SHA-256 of all of it."""
        return hashlib.sha256(b"sound " + self.samples).digest()
