"""Bytes to sound, by PyAV."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av

from pyllama.errors import InvalidMedia
from pyllama.media.container import first_of, frames_of, opened
from pyllama.media.content import Sound
from pyllama.media.decoding import Patience

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyllama.media.limits import MediaLimits

_BYTES_PER_SAMPLE = 4
# What anybody records at, Hz. From a rate far off the filter to the one that is wanted takes
# seconds and much memory to make.
_RATES = range(1000, 400_000)


def read_sound(data: bytes, name: str, rate: int, limits: MediaLimits) -> Sound:
    """Read a sound as mono at a rate.

    Args:
        data: the file.
        name: its format, by FFmpeg's name.
        rate: samples a second that are wanted.
        limits: what is too long or too short.

    Raises:
        InvalidMedia: it is broken, empty, too long or too short.
    """
    bytes_per_s = rate * _BYTES_PER_SAMPLE
    samples = bytearray()
    for piece in _pieces(data, name, rate, limits):
        samples += piece
        if len(samples) > limits.max_sound_s * bytes_per_s:
            raise InvalidMedia(f"the sound is longer than {limits.max_sound_s:g} seconds")
    if len(samples) < limits.min_sound_s * bytes_per_s:
        raise InvalidMedia(f"the sound is shorter than {limits.min_sound_s:g} seconds")
    return Sound(bytes(samples))


def _pieces(data: bytes, name: str, rate: int, limits: MediaLimits) -> Iterator[memoryview]:
    resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
    with opened(data, name, limits) as container:
        stream = first_of(container.streams.audio, f"the {name} holds no sound")
        for frame in frames_of(container, stream, Patience(limits)):
            if frame.sample_rate not in _RATES:
                raise InvalidMedia(f"the sound has {frame.sample_rate} samples a second")
            for part in resampler.resample(frame):
                yield _samples(part)
        for part in resampler.resample(None):
            yield _samples(part)


def _samples(frame: av.AudioFrame) -> memoryview:
    # A plane may be longer than what it holds.
    return memoryview(frame.planes[0])[: frame.samples * _BYTES_PER_SAMPLE]
