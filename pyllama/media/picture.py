"""Bytes to pictures, by Pillow."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from pyllama.errors import InvalidMedia
from pyllama.media.content import Picture
from pyllama.media.decoding import decoding
from pyllama.media.jpeg import check_scans

if TYPE_CHECKING:
    from pyllama.media.limits import MediaLimits


def read_picture(data: bytes, name: str, limits: MediaLimits) -> Picture:
    """Read a picture; the first one of an animation.

    Args:
        data: the file.
        name: its format, by Pillow's name.
        limits: what is too large.

    Raises:
        InvalidMedia: it is broken, truncated or too large.
    """
    if name == "JPEG":
        check_scans(data, limits)
    with decoding(name), Image.open(io.BytesIO(data), formats=[name]) as image:
        return of_image(image, limits)


def of_image(image: Image.Image, limits: MediaLimits) -> Picture:
    """Return the pixels of a Pillow image, upright as its camera says.

    Raises:
        InvalidMedia: it is too large.
    """
    # An image that was only opened knows its size: nothing is unpacked yet.
    check_size(image.width, image.height, limits)
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        # 16 bits a pixel; Pillow would cut off what exceeds 255.
        upright = upright.convert("I").point(lambda value: value / 256).convert("L")
    # Not where it is done: the copy would be as large again.
    pixels = upright if upright.mode == "RGB" else upright.convert("RGB")
    return Picture(pixels.width, pixels.height, pixels.tobytes())


def check_size(width: int, height: int, limits: MediaLimits) -> None:
    """Refuse a picture that is too large, empty, or all but a line. Raises InvalidMedia."""
    shape = f"the picture has {width} x {height} pixels"
    if min(width, height) < 1:
        raise InvalidMedia(shape)
    if width * height > limits.max_pixels:
        raise InvalidMedia(f"{shape}, more than {limits.max_pixels:,} in all")
    if max(width, height) > limits.max_ratio * min(width, height):
        raise InvalidMedia(f"{shape}: its sides differ by more than {limits.max_ratio} times")
