"""Files of pictures, sound and video, made in memory."""

from __future__ import annotations

import array
import base64
import io
import random
import wave
from typing import Any

import av
from PIL import Image

RATE = 16000


def image(seed: int = 0, width: int = 60, height: int = 40) -> Image.Image:
    """Return noise, other for each seed."""
    noise = random.Random(seed).randbytes(3 * width * height)  # noqa: S311
    return Image.frombytes("RGB", (width, height), noise)


def picture(seed: int = 0, width: int = 60, height: int = 40, kind: str = "PNG") -> bytes:
    """Return the file of a picture."""
    file = io.BytesIO()
    image(seed, width, height).save(file, kind)
    return file.getvalue()


def pictures() -> dict[str, bytes]:
    """Return the same picture in every format that is read."""
    return {kind: picture(kind=kind) for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP")}


def wav(seed: int = 0, n_samples: int = 8000, rate: int = RATE, n_channels: int = 1) -> bytes:
    """Return the file of some noise."""
    noise = random.Random(seed)  # noqa: S311
    samples = array.array("h", [noise.randint(-9000, 9000) for _ in range(n_samples * n_channels)])
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(n_channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples.tobytes())
    return file.getvalue()


def sound(kind: str, codec: str, seed: int = 0, n_samples: int = 8000) -> bytes:
    """Return noise in a format of FFmpeg's."""
    file = io.BytesIO()
    with (
        av.open(io.BytesIO(wav(seed, n_samples)), format="wav") as source,
        av.open(file, "w", format=kind) as out,
    ):
        # FFmpeg calls its own encoder of Vorbis an experiment.
        stream: Any = out.add_stream(codec, rate=RATE, options={"strict": "experimental"})
        for frame in source.decode(source.streams.audio[0]):
            frame.pts = None
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()


def sounds() -> dict[str, bytes]:
    """Return half a second of noise in every format that is read."""
    return {
        "wav": wav(),
        "mp3": sound("mp3", "mp3"),
        "flac": sound("flac", "flac"),
        "ogg opus": sound("ogg", "libopus"),
        "ogg vorbis": sound("ogg", "vorbis"),
        "m4a aac": sound("ipod", "aac"),
        "m4a alac": sound("ipod", "alac"),
        "mp4": sound("mp4", "aac"),
        "3gp": sound("3gp", "aac"),
        "webm": sound("webm", "libopus"),
    }


def video(n_frames: int = 40, kind: str = "mp4", codec: str = "mpeg4") -> bytes:
    """Return a video whose frames get brighter, ten a second."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as out:
        stream: Any = out.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(n_frames):
            level = 255 * index // max(n_frames - 1, 1)
            frame: Any = av.VideoFrame.from_image(Image.new("RGB", (64, 48), (level, level, level)))  # type: ignore[no-untyped-call]
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()


def videos(n_frames: int = 40) -> dict[str, bytes]:
    """Return the same video in every format that is read."""
    kinds = {
        "mp4": "mpeg4",
        "mov": "h264",
        "webm": "libvpx-vp9",
        "matroska": "mpeg4",
        "avi": "mpeg4",
    }
    return {kind: video(n_frames, kind, codec) for kind, codec in kinds.items()}


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Return a file that something happened to."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        # The head of a file says how the rest is read.
        end = chance.choice([64, len(changed)])
        place = chance.randrange(min(end, len(changed)))
        if chance.random() < 0.8:
            changed[place] = chance.randrange(256)
        elif chance.random() < 0.5:
            del changed[place + 12 : place + chance.randint(13, 50)]
        else:
            del changed[max(place, 12) :]
    return bytes(changed)


def data_url(data: bytes, kind: str = "image/png") -> str:
    """Return a file as text."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def image_part(data: bytes) -> dict[str, Any]:
    """Return a picture as OpenAI's chats have it."""
    return {"type": "image_url", "image_url": {"url": data_url(data)}}


def audio_part(data: bytes, kind: str = "wav") -> dict[str, Any]:
    """Return a sound as OpenAI's chats have it."""
    encoded = base64.b64encode(data).decode()
    return {"type": "input_audio", "input_audio": {"data": encoded, "format": kind}}


def shown(question: str, *parts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a chat in which a user shows something and asks."""
    return [{"role": "user", "content": [*parts, {"type": "text", "text": question}]}]
