"""Stop strings, matched across token borders."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class StopMatcher:
    """Passes text through until a stop string occurs in it, and nothing from there on.

    Text that may be the start of a stop string is held back until the next text decides. The string
    that is complete first counts, the longest of those that end together: so what comes out does
    not depend on how the text is cut into pieces.

    Args:
        stops: the strings; none may be empty.
    """

    __slots__ = ("_held", "_n_keep", "_stops", "matched")

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        # A stop string that has not occurred yet can begin at most this far from the end.
        self._n_keep = max((len(stop) - 1 for stop in self._stops), default=0)
        self._held = ""
        self.matched: str | None = None
        """The stop string that occurred."""

    def feed(self, text: str) -> str:
        """Return the text that is certain now; sets :attr:`matched` on a match."""
        if not self._stops:
            return text
        if self.matched is not None:
            return ""
        text = self._held + text
        places = [(text.find(stop) + len(stop), stop) for stop in self._stops if stop in text]
        if places:
            end, self.matched = min(places, key=lambda place: (place[0], -len(place[1])))
            self._held = ""
            return text[: end - len(self.matched)]
        n_held = self._overlap(text)
        self._held = text[len(text) - n_held :]
        return text[: len(text) - n_held]

    def flush(self) -> str:
        """Return what was held back: the text has ended, so it starts no stop string."""
        held, self._held = self._held, ""
        return held

    def _overlap(self, text: str) -> int:
        """Return the length of the longest end of the text that begins a stop string."""
        for n in range(min(self._n_keep, len(text)), 0, -1):
            tail = text[-n:]
            if any(stop.startswith(tail) for stop in self._stops):
                return n
        return 0
