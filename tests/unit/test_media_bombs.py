"""Files that are more than they seem, or other than they say: refused, in little memory."""

from __future__ import annotations

import io
import subprocess
import sys
import tracemalloc
from itertools import cycle, islice
from typing import Any

import pytest
from PIL import Image, features

from pyllama.errors import ContextOverflow, InvalidMedia, Unsupported
from tests.support import bombs, media_files
from tests.support.fake_projector import FakeProjector, reader

# What this reads may take no more than a small picture does.
MARGIN_KB = 32 * 1024
READ_ALL = f"""
import resource
from pyllama.errors import InvalidMedia
from tests.support import bombs, media_files
from tests.unit.test_media_bombs import refused, taken
for kind in media_files.pictures().values():
    taken(kind)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for head in bombs.HEADS.values():
    for side in (7_000, 12_000, 16_000, 60_000):
        refused(head(side))
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert after - before < {MARGIN_KB}, (before, after)
"""


def taken(data: bytes) -> Any:
    (content,) = reader(FakeProjector()).read(media_files.image_part(data), "part")
    return content


def refused(data: bytes) -> str:
    with pytest.raises(InvalidMedia) as caught:
        taken(data)
    return caught.value.message


@pytest.mark.parametrize("kind", bombs.HEADS)
@pytest.mark.parametrize("side", [7_000, 60_000])
def test_a_head_that_promises_very_many_pixels_is_refused(kind: str, side: int) -> None:
    """By its size, whatever the format."""
    assert "pixels" in refused(bombs.HEADS[kind](side))


def test_bombs_take_no_memory() -> None:
    """None of them is unpacked, in a process that does nothing else."""
    pytest.importorskip("resource")
    subprocess.run([sys.executable, "-W", "ignore", "-c", READ_ALL], check=True)


def test_a_jpeg_of_very_many_scans_is_refused() -> None:
    """Each of its scans takes as long as a whole picture, and some bytes of the file."""
    assert taken(bombs.scans(100)).width == 500
    assert "more than 200 scans" in refused(bombs.scans(1000))


def test_a_jpeg_of_very_many_segments_is_refused() -> None:
    """It is not looked through to its end."""
    data = media_files.picture(kind="JPEG")
    assert taken(data[:2] + b"\xff\xfe\0\2" * 5_000 + data[2:]).width == 60
    assert "more than 10,000 segments" in refused(data[:2] + b"\xff\xfe\0\2" * 20_000 + data[2:])


@pytest.mark.parametrize("place", [2, None], ids=["preview", "film"])
def test_what_a_jpeg_carries_along_is_not_counted(place: int | None) -> None:
    """A preview in a segment of its own before it, or a film behind its end."""
    data = media_files.picture(kind="JPEG")
    other = b"\xff\xda" * 30_000
    carried = other if place is None else b"\xff\xe1" + (len(other) + 2).to_bytes(2, "big") + other
    at = len(data) if place is None else place
    assert taken(data[:at] + carried + data[at:]).rgb == taken(data).rgb


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_picture_is_read(kind: str) -> None:
    """The others, thousands of them, are left out."""
    colors = ["red", *islice(cycle(["blue", "lime"]), 2000)]
    content = taken(bombs.animation(kind, colors))
    assert content.rgb == Image.new("RGB", (8, 8), "red").tobytes()


@pytest.mark.parametrize("kind", ["TIFF", "ICO", "PPM", "TGA", "PCX", "JPEG2000", "EPS", "PDF"])
def test_what_is_not_listed_is_refused_by_its_content(kind: str) -> None:
    """Pillow could read it, or start another program that does; it is said to be a PNG."""
    file = io.BytesIO()
    media_files.image().save(file, kind)
    assert "the format is unknown; send a picture: PNG" in refused(file.getvalue())


@pytest.mark.parametrize("data", [b"8BPS\0\1" + bytes(60), b"<svg xmlns='x'></svg>", b"BMX is fun"])
def test_what_nobody_reads_is_refused_too(data: bytes) -> None:
    """A drawing, a text."""
    assert "the format is unknown" in refused(data)


@pytest.mark.parametrize("brand", ["heic", "heix", "hevc", "mif1", "avif", "avis"])
def test_what_phones_take_is_refused_by_its_name(brand: str) -> None:
    """The message says what to send instead."""
    head = b"\0\0\0\x18ftyp" + brand.encode() + bytes(60)
    message = refused(head)
    assert "HEIC or AVIF is not read here; send a picture: PNG, JPEG, WebP, GIF or BMP" in message


@pytest.mark.skipif(not features.check("avif"), reason="Pillow was built without AVIF")
def test_a_real_avif_is_refused() -> None:
    """Also where Pillow would read it."""
    assert "HEIC or AVIF" in refused(media_files.picture(kind="AVIF"))


def test_pixels_are_dropped_once_they_are_cut() -> None:
    """Many pictures of a request are not in memory together."""
    attachments = reader(FakeProjector(), n_ctx=100_000).begin()
    part = media_files.image_part(media_files.picture(width=1000, height=1000, kind="JPEG"))
    attachments.add(part, "part")
    tracemalloc.start()
    try:
        for _ in range(20):
            attachments.add(part, "part")
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000
    assert peak < 10_000_000


def test_more_media_than_a_context_holds_are_refused_at_once() -> None:
    """The second of them, not after all were read."""
    attachments = reader(FakeProjector(), n_ctx=100).begin()
    part = media_files.image_part(media_files.picture(width=60))
    attachments.add(part, "one")
    with pytest.raises(ContextOverflow, match="has at least 124 tokens, the context 100"):
        attachments.add(part, "two")


def test_codecs_that_nobody_has_are_not_read() -> None:
    """By their names; also one that FFmpeg itself does not know."""
    film = media_files.video(4, "avi", "ffv1")
    unknown = media_files.videos(4)["mov"].replace(b"avc1", b"none")
    for data, codec in ((film, "ffv1"), (unknown, "unknown")):
        with pytest.raises(InvalidMedia, match=rf"video is in a codec .* \({codec}\)"):
            list(reader(FakeProjector()).read({"type": "video", "video": data}, "part"))


def test_a_film_of_endless_scans_is_not_begun() -> None:
    """Not even to find out what it holds: a frame of it would take minutes."""
    film = bombs.film(bombs.scans(20_000))
    with pytest.raises(InvalidMedia, match=r"codec that is not read here \(mjpeg\)"):
        list(reader(FakeProjector()).read({"type": "video", "video": film}, "part"))


@pytest.mark.parametrize("text", ["data:" + ";" * 4_000_000, "ab " * 1_300_000, "é" * 4_000_000])
def test_text_that_is_no_file_takes_no_memory(text: str) -> None:
    """However it is cut into pieces, it is not more than a few times its own size."""
    tracemalloc.start()
    try:
        with pytest.raises((InvalidMedia, Unsupported)):
            list(reader(FakeProjector()).read({"type": "image_url", "image_url": text}, "part"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000
