"""Small files that promise to become very large ones."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import av
from PIL import Image

from tests.support import media_files


def _chunk(name: bytes, data: bytes) -> bytes:
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(side: int, *, is_animated: bool = False) -> bytes:
    """Return a PNG that says how large it is, and has a pixel or two."""
    head = _chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    if is_animated:
        head += _chunk(b"acTL", struct.pack(">II", 1_000_000, 0))
        head += _chunk(b"fcTL", struct.pack(">5I2H2B", 0, side, side, 0, 0, 1, 10, 0, 0))
    pixels = _chunk(b"IDAT", zlib.compress(bytes(99)))
    return b"\x89PNG\r\n\x1a\n" + head + pixels + _chunk(b"IEND", b"")


def apng(side: int) -> bytes:
    """Return the same, with a million frames."""
    return png(side, is_animated=True)


def gif(side: int) -> bytes:
    """Return a GIF whose screen and frame say so."""
    data = bytearray(media_files.picture(kind="GIF"))
    data[6:10] = struct.pack("<HH", side, side)
    frame = data.index(b",\0\0\0\0")
    data[frame + 5 : frame + 9] = struct.pack("<HH", side, side)
    return bytes(data)


def webp(side: int) -> bytes:
    """Return an animated WebP whose canvas says so."""
    data = bytearray(animation("WEBP", ("red", "blue")))
    place = data.index(b"VP8X") + 12
    data[place : place + 6] = 2 * (side - 1).to_bytes(3, "little")
    return bytes(data)


def bmp(side: int) -> bytes:
    """Return a BMP that says so."""
    data = bytearray(media_files.picture(kind="BMP"))
    data[18:26] = struct.pack("<ii", side, side)
    return bytes(data)


def jpeg(side: int) -> bytes:
    """Return a JPEG that says so."""
    data = bytearray(media_files.picture(kind="JPEG"))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", side, side)
    return bytes(data)


HEADS = {"PNG": png, "APNG": apng, "GIF": gif, "WEBP": webp, "BMP": bmp, "JPEG": jpeg}


def scans(count: int) -> bytes:
    """Return a progressive JPEG that goes over its pixels very often, in some bytes each time."""
    file = io.BytesIO()
    Image.new("L", (500, 500), "grey").save(file, "JPEG", progressive=True)
    data = file.getvalue()
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * count + data[-2:]


def animation(kind: str, colors: Sequence[str]) -> bytes:
    """Return a picture that moves, a frame of 8 by 8 pixels for each colour."""
    file = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), color) for color in colors]
    frames[0].save(file, kind, save_all=True, append_images=frames[1:], duration=10, lossless=True)
    return file.getvalue()


def film(frame: bytes) -> bytes:
    """Return a video whose only frame is a JPEG."""
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as out:
        stream: Any = out.add_stream("mjpeg", rate=10)
        stream.width = stream.height = 500
        stream.pix_fmt = "yuvj420p"
        packet = av.Packet(frame)
        packet.stream, packet.pts, packet.dts = stream, 0, 0
        out.mux(packet)
    return file.getvalue()
