"""A projector without weights: as many tokens for a picture as it has columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from pyllama.errors import NativeError
from pyllama.media import Fetcher, MediaLimits, MediaReader


@dataclass(frozen=True)
class FakeChunk:
    n_tokens: int
    is_causal: bool = True


class FakeProjector:
    """Frames what it is shown by the tokens 1 and 2."""

    has_vision = True
    has_audio = True
    sample_rate = 16000

    def __init__(self, *, is_causal: bool = True, has_failed: bool = False) -> None:
        self._is_causal = is_causal
        self._has_failed = has_failed

    def picture(self, rgb: bytes, width: int, height: int) -> tuple[Any, ...]:
        if self._has_failed:
            raise NativeError("mtmd_tokenize_from_parts", "no")
        assert len(rgb) == 3 * width * height
        return ((1,), FakeChunk(width, self._is_causal), (2,))

    def sound(self, samples: bytes) -> tuple[Any, ...]:
        return (FakeChunk(len(samples) // 4 // 1000),)


class FakeVocab:
    """A token for each character, a BOS and an EOS."""

    bos, eos = 900, 901
    adds_bos = adds_eos = True

    def tokenize(self, text: str, *, parse_special: bool) -> list[int]:
        assert parse_special
        return list(map(ord, text))


def reader(
    projector: FakeProjector | None,
    *,
    fetcher: Fetcher | None = None,
    n_ctx: int = 10_000,
    **limits: Any,
) -> MediaReader:
    """Return a reader over fakes; None for a model that takes text only."""
    return MediaReader(
        cast("Any", FakeVocab()),
        cast("Any", projector),
        n_whole=50,
        n_ctx=n_ctx,
        limits=MediaLimits(**limits),
        fetcher=fetcher,
    )
