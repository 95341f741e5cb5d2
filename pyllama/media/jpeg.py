"""How often a JPEG goes over its pixels."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pyllama.errors import InvalidMedia

if TYPE_CHECKING:
    from pyllama.media.limits import MediaLimits

# Of all pairs that begin with FF those that begin a segment, or end the picture. In the data of a
# scan FF00 is a byte, and FFD0 to FFD7 mark places to start anew from.
_MARKER = re.compile(rb"\xff([\x02-\xcf\xd9-\xfe])")
_SCAN, _END = b"\xda", b"\xd9"
_MAX_MARKERS = 10_000
# Bytes that are looked through at a time: no other thread runs meanwhile.
_WINDOW = 1 << 18


def check_scans(data: bytes, limits: MediaLimits) -> None:
    """Refuse a progressive JPEG of very many scans: each takes the time of a whole picture.

    What follows the picture is left out: telephones append a short film.

    Raises:
        InvalidMedia: it has more scans, or segments of any kind, than any camera or program makes.
    """
    n_scans, place = 0, 2
    for _ in range(_MAX_MARKERS):
        found = _next_marker(data, place)
        if found is None or found[1] == _END:
            return
        n_scans += found[1] == _SCAN
        if n_scans > limits.max_scans:
            raise InvalidMedia(f"the JPEG has more than {limits.max_scans} scans")
        # The length counts its own two bytes. A preview may lie within: that is another picture.
        length = int.from_bytes(data[found.end() : found.end() + 2], "big")
        place = found.end() + length
    raise InvalidMedia(f"the JPEG has more than {_MAX_MARKERS:,} segments")


def _next_marker(data: bytes, place: int) -> re.Match[bytes] | None:
    while place < len(data):
        found = _MARKER.search(data, place, place + _WINDOW)
        if found is not None:
            return found
        # The last byte may be the first half of one.
        place += _WINDOW - 1
    return None
