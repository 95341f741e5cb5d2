"""Files of sound and video, opened by PyAV with no more of FFmpeg than such files need."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import av

from pyllama.errors import InvalidMedia
from pyllama.media.decoding import Patience, decoding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

    from pyllama.media.limits import MediaLimits

_Stream = TypeVar("_Stream", "AudioStream", "VideoStream")

# Decoders of FFmpeg's. Of its five hundred most are for files that nobody has; some can be held up
# by one small frame for hours (Motion JPEG, whose frames may go over their pixels without end).
_SOUND = (
    *("aac", "ac3", "adpcm_ima_wav", "adpcm_ms", "alac", "amrnb", "amrwb", "eac3", "flac", "mp2"),
    *("mp2float", "mp3", "mp3float", "opus", "pcm_alaw", "pcm_f32le", "pcm_f64le", "pcm_mulaw"),
    *("pcm_s16be", "pcm_s16le", "pcm_s24be", "pcm_s24le", "pcm_s32le", "pcm_u8", "speex"),
    "vorbis",
)
_VIDEO = (
    *("av1", "dvvideo", "h263", "h264", "hevc", "libdav1d", "mpeg1video", "mpeg2video", "mpeg4"),
    *("msmpeg4", "prores", "theora", "vp8", "vp9"),
)
_DECODERS = frozenset((*_SOUND, *_VIDEO))


@contextmanager
def opened(data: bytes, name: str, limits: MediaLimits) -> Iterator[InputContainer]:
    """Open a file; whatever goes wrong with it within the block is InvalidMedia.

    Args:
        data: the file.
        name: its format, by FFmpeg's name.
        limits: how large frames may be, and how long it may take.
    """
    # To open a file is to decode some of it, whatever streams it has.
    options = {"codec_whitelist": ",".join(_DECODERS), "max_pixels": str(limits.max_pixels)}
    timeout_s = max(limits.max_decode_s, 1.0)
    with (
        decoding(name),
        av.open(io.BytesIO(data), format=name, options=options, timeout=timeout_s) as container,
    ):
        yield container


def first_of(streams: Sequence[_Stream], absence: str) -> _Stream:
    """Return the first stream of a kind.

    Args:
        streams: those of a file.
        absence: what to say where there is none.

    Raises:
        InvalidMedia: there is none, or it is in a codec that is not read.
    """
    if not streams:
        raise InvalidMedia(absence)
    # Where FFmpeg itself has no decoder there is no context.
    codec = getattr(streams[0].codec_context, "name", "unknown")
    if codec not in _DECODERS:
        raise InvalidMedia(f"its {streams[0].type} is in a codec that is not read here ({codec})")
    return streams[0]


def frames_of(
    container: InputContainer, stream: AudioStream | VideoStream, patience: Patience
) -> Iterator[Any]:
    """Yield the frames of a stream from where its file is read; InvalidMedia if it takes long."""
    # Not by frames: there may be much to decode before the first of them.
    for packet in patience.over(container.demux(stream)):
        yield from packet.decode()
