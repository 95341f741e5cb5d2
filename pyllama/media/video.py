"""Bytes of a video to some of its frames, by PyAV."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av

from pyllama.errors import InvalidMedia
from pyllama.media.container import first_of, frames_of, opened
from pyllama.media.content import Picture
from pyllama.media.decoding import Patience
from pyllama.media.picture import check_size, of_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer

    from pyllama.media.limits import MediaLimits


def read_video(data: bytes, name: str, limits: MediaLimits) -> Iterator[Picture]:
    """Read a video as frames, evenly over its length; one at a time, for each may be large.

    Args:
        data: the file.
        name: its format, by FFmpeg's name.
        limits: how many frames, and what is too large.

    Raises:
        InvalidMedia: it is broken, or its frames are too large.
    """
    absence = f"the {name} holds no pictures"
    is_empty = True
    with opened(data, name, limits) as container:
        stream = first_of(container.streams.video, absence)
        if stream.width < 1:
            # Its size is known once a frame was decoded, and none was.
            limit = f"of up to {limits.max_pixels:,} pixels"
            raise InvalidMedia(f"the {name} holds no frames {limit} that can be read")
        check_size(stream.width, stream.height, limits)
        # Frames may grow later: FFmpeg then makes no room for them.
        stream.codec_context.options = {"max_pixels": str(limits.max_pixels)}
        for frame in _sampled(container, limits):
            is_empty = False
            yield _picture(frame, limits)
    if is_empty:
        raise InvalidMedia(absence)


def _sampled(container: InputContainer, limits: MediaLimits) -> Iterator[av.VideoFrame]:
    """Yield the frames in the middle of equal parts of the video; each frame once."""
    length = container.duration or 0
    last = None
    patience = Patience(limits)
    for index in range(limits.max_frames):
        wanted = length * (2 * index + 1) // (2 * limits.max_frames)
        if length:
            container.seek(wanted)
        frame = _frame_at(container, wanted / av.time_base, patience)
        if frame is None or frame.pts == last:
            continue
        last = frame.pts
        yield frame
        if not length:
            return


def _frame_at(
    container: InputContainer, wanted_s: float, patience: Patience
) -> av.VideoFrame | None:
    """Return the frame that is seen at a time: the last one that does not come after it."""
    found = None
    for frame in frames_of(container, container.streams.video[0], patience):
        if found is not None and frame.time > wanted_s:
            break
        found = frame
    return found


def _picture(frame: av.VideoFrame, limits: MediaLimits) -> Picture:
    # A frame may have another size than the stream says that it has.
    check_size(frame.width, frame.height, limits)
    return of_image(frame.to_image(), limits)  # type: ignore[no-untyped-call]
