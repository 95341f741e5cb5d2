"""Files of pictures, sound and video: read to the same content, or refused with the reason."""

from __future__ import annotations

import io
import random
import struct
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pyllama.errors import InvalidMedia, Unsupported
from pyllama.media.content import Picture, Sound
from tests.support import media_files
from tests.support.fake_projector import FakeProjector, reader

READER = reader(FakeProjector())


def read(kind: str, data: Any, **limits: Any) -> list[Picture | Sound]:
    found = reader(FakeProjector(), **limits) if limits else READER
    return list(found.read({"type": kind, kind: data}, "part"))


def one(kind: str, data: Any) -> Any:
    (content,) = read(kind, data)
    return content


def samples(content: Any) -> int:
    return len(content.samples) // 4


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "WEBP", "JPEG"])
def test_pictures_of_every_format_are_read(kind: str) -> None:
    """Size and pixels are those of the file."""
    content = one("image", media_files.picture(kind=kind))
    assert (content.width, content.height, len(content.rgb)) == (60, 40, 7200)
    if kind in {"PNG", "BMP"}:
        assert content.rgb == media_files.image().tobytes()


def test_the_same_pixels_are_the_same_picture(tmp_path: Path) -> None:
    """Whether they come as a PNG, a BMP, a file, or an image of Pillow's."""
    path = tmp_path / "picture.png"
    path.write_bytes(media_files.picture())
    sources = [media_files.picture(), media_files.picture(kind="BMP"), path, str(path)]
    digests = {one("image", source).digest for source in [*sources, media_files.image()]}
    assert len(digests) == 1
    assert one("image", media_files.picture(1)).digest not in digests
    # The same bytes in another shape are another picture.
    assert one("image", media_files.image(0, 40, 60)).digest not in digests


def test_the_first_picture_of_an_animation_is_read() -> None:
    """The others are left out."""
    file = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    assert one("image", file.getvalue()).rgb == frames[0].tobytes()


def test_a_picture_of_16_bits_keeps_its_shades() -> None:
    """They are scaled, not cut off."""
    file = io.BytesIO()
    Image.new("I;16", (4, 4), 0x8000).save(file, "PNG")
    assert set(one("image", file.getvalue()).rgb) == {0x80}


def test_a_picture_stands_upright() -> None:
    """What the camera says of its own turning is followed."""
    turned = media_files.image()
    exif = turned.getexif()
    exif[0x0112] = 6
    file = io.BytesIO()
    turned.save(file, "JPEG", exif=exif)
    content = one("image", file.getvalue())
    assert (content.width, content.height) == (40, 60)


SOUNDS = media_files.sounds()
VIDEOS = media_files.videos()


@pytest.mark.parametrize(
    "data",
    [*SOUNDS.values(), media_files.wav(n_samples=4000, rate=8000, n_channels=2)],
    ids=[*SOUNDS, "stereo"],
)
def test_sound_of_every_format_is_read_at_the_rate_that_is_wanted(data: bytes) -> None:
    """Half a second is 8,000 samples, but for what an encoder or a filter puts at the ends."""
    assert samples(one("audio", data)) == pytest.approx(8000, abs=2000)


def test_a_cover_is_no_sound() -> None:
    """A picture within the file is left out, whatever it is."""
    cover = b"\0image/jpeg\0\3\0" + media_files.picture(kind="JPEG")
    tag = b"APIC" + struct.pack(">IH", len(cover), 0) + cover
    # Seven bits a byte, lest it looks like sound.
    size = bytes(len(tag) >> shift & 0x7F for shift in (21, 14, 7, 0))
    assert samples(one("audio", b"ID3\3\0\0" + size + tag + SOUNDS["mp3"])) == samples(
        one("audio", SOUNDS["mp3"])
    )


def test_python_holds_bytes_in_several_ways(tmp_path: Path) -> None:
    """Sound and video too, and a file by its path."""
    for kind, data in (("audio", SOUNDS["m4a aac"]), ("video", VIDEOS["webm"])):
        path = tmp_path / kind
        path.write_bytes(data)
        forms = (data, bytearray(data), memoryview(data), path, str(path))
        assert len({tuple(part.digest for part in read(kind, form)) for form in forms}) == 1


def test_sound_at_the_right_rate_is_taken_as_it_is() -> None:
    """No filter touches it."""
    content = one("audio", media_files.wav())
    values = struct.unpack(f"{samples(content)}f", content.samples)
    noise = random.Random(0)  # noqa: S311
    assert list(values[:5]) == [noise.randint(-9000, 9000) / 32768 for _ in range(5)]


@pytest.mark.parametrize("kind", VIDEOS)
def test_a_video_is_sampled_over_its_length(kind: str) -> None:
    """Frames come in order, evenly, and no more than the limit."""
    frames = read("video", VIDEOS[kind], max_frames=4)
    levels = [frame.rgb[0] for frame in frames if isinstance(frame, Picture)]
    assert len(levels) == 4
    assert levels == pytest.approx([32, 96, 160, 224], abs=20)


def test_a_video_of_one_frame_is_one_picture() -> None:
    """No frame is shown twice."""
    assert len(read("video", media_files.video(1))) == 1


@pytest.mark.parametrize(
    ("kind", "data", "reason"),
    [
        ("image", b"", "is empty"),
        ("image", b"hello", "the format is unknown; send a picture: PNG"),
        ("image", media_files.picture()[:900], "PNG cannot be read"),
        ("image", media_files.picture(kind="JPEG")[:500], "JPEG cannot be read"),
        ("image", media_files.picture()[:8], "PNG cannot be read"),
        ("image", media_files.wav(), r"it is a sound \(wav\); send a picture"),
        ("image", media_files.image(0, 900, 2), "sides differ"),
        ("image", 5, "must be bytes or the path"),
        ("image", "no such file.png", "cannot be read"),
        ("image", None, "must be bytes"),
        ("audio", media_files.picture(), r"it is a picture \(PNG\); send a sound"),
        ("audio", media_files.wav()[:30], "cannot be read|holds no sound|shorter"),
        ("audio", media_files.wav(n_samples=0), "shorter|cannot be read"),
        ("audio", media_files.wav(n_samples=100), "shorter than 0.05 seconds"),
        ("audio", b"ID3" + bytes(50), "cannot be read"),
        ("audio", media_files.wav(rate=1_600_000_000), "has 1600000000 samples a second"),
        ("audio", media_files.wav(rate=7), "has 7 samples a second"),
        ("video", media_files.video()[:300], "cannot be read"),
        ("video", media_files.picture(), r"it is a picture \(PNG\); send a video"),
        ("image_url", {"url": "data:image/png;base64,%%%"}, "is no base64"),
        ("image_url", {"url": 5}, "must be a data: URL"),
        ("image_url", {}, "must be a data: URL"),
        ("image_url", None, "must be a data: URL"),
        ("input_audio", {"data": ""}, "is empty"),
    ],
)
def test_what_cannot_be_read_is_refused(kind: str, data: Any, reason: str) -> None:
    """The error names the part, and says what is wrong with it."""
    with pytest.raises(InvalidMedia, match=reason) as caught:
        read(kind, data)
    assert caught.value.param is not None
    assert caught.value.param.startswith(f"part.{kind}")
    assert caught.value.message.startswith(caught.value.param)


@pytest.mark.parametrize(
    ("kind", "data", "limits", "reason"),
    [
        ("image", media_files.picture(), {"max_pixels": 2000}, "more than 2,000 in all"),
        ("image", media_files.image(), {"max_pixels": 2000}, "more than 2,000 in all"),
        ("image", media_files.picture(), {"max_bytes": 900}, "bytes, more than 900"),
        ("audio", media_files.wav(), {"max_sound_s": 0.2}, "longer than 0.2 seconds"),
        ("audio", media_files.wav(), {"max_decode_s": -1.0}, "takes longer than -1 seconds"),
        ("video", media_files.video(), {"max_decode_s": -1.0}, "takes longer than -1 seconds"),
        ("video", media_files.video(), {"max_pixels": 2000}, "no frames of up to 2,000 pixels"),
    ],
)
def test_what_is_too_large_is_refused(
    kind: str, data: Any, limits: dict[str, Any], reason: str
) -> None:
    """Before it is unpacked, or as soon as it gets too long."""
    with pytest.raises(InvalidMedia, match=reason):
        read(kind, data, **limits)


@pytest.mark.parametrize(
    "url", ["https://example.com/a.png", "http://127.0.0.1/", "file:///etc/passwd"]
)
def test_addresses_are_not_fetched(url: str) -> None:
    """A client sends the file itself."""
    with pytest.raises(Unsupported, match="none is fetched"):
        read("image_url", {"url": url})


def test_text_may_hold_a_file_in_several_forms() -> None:
    """A data: URL, base64 alone, and base64 in lines."""
    data = media_files.picture()
    url = media_files.data_url(data)
    plain = url.partition(",")[2]
    lines = "\n".join(plain[start : start + 76] for start in range(0, len(plain), 76))
    for value in ({"url": url}, url, {"url": plain}, {"url": lines}):
        assert one("image_url", value).rgb == media_files.image().tobytes()


def test_damaged_files_are_read_or_refused() -> None:
    """2,000 files with bytes changed, cut out and cut off: nothing else is raised, nothing ends."""
    files = [("image", data) for data in media_files.pictures().values()]
    files += [("video", data) for data in media_files.videos(6).values()]
    files += [("audio", data) for data in SOUNDS.values()]
    chance = random.Random(5)  # noqa: S311
    n_refused = 0
    for number in range(2000):
        kind, data = files[number % len(files)]
        try:
            read(kind, media_files.damaged(data, chance))
        except InvalidMedia:
            n_refused += 1
    assert 200 < n_refused < 2000
