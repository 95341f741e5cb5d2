"""What a request may send of media."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaLimits:
    """Bounds that keep one request from taking the memory and the time of all others."""

    max_parts: int = 64
    """Pictures, sounds and videos of one request."""
    max_bytes: int = 64 << 20
    """Size of one file."""
    max_pixels: int = 40_000_000
    """Pixels of one picture: a small file may unpack to very many."""
    max_scans: int = 200
    """Times that a progressive JPEG may go over its pixels; most do it ten times."""
    max_ratio: int = 200
    """Longer side of a picture to the shorter one."""
    min_sound_s: float = 0.05
    """Seconds of sound: encoders look at windows of some milliseconds, and need several."""
    max_sound_s: float = 1800.0
    max_decode_s: float = 30.0
    """Seconds that a sound or a video may take to decode: a small file may hold many frames."""
    max_frames: int = 8
    """Frames that a video is sampled to, evenly."""
