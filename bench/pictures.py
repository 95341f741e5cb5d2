"""Chats about pictures that are drawn from a seed: the same bytes to every server."""

from __future__ import annotations

import base64
import io
import random
from collections.abc import Sequence
from typing import Any

from PIL import Image, ImageDraw

_QUESTIONS = (
    "What is on the picture?",
    "Which colours do you see?",
    "How many shapes are there?",
    "Describe it in one sentence.",
    "What is in the middle, and what is beside it?",
)
_SIZES = ((48, 48), (160, 120), (56, 112), (224, 168), (100, 200), (97, 61))


def draw(seed: int, width: int, height: int) -> bytes:
    """Return the PNG file of a few ellipses and rectangles; another seed draws others."""
    source = random.Random(seed)  # noqa: S311  (repeatable is what is wanted)
    image = Image.new("RGB", (width, height), _colour(source))
    pen = ImageDraw.Draw(image)
    for _ in range(source.randint(2, 6)):
        left, top = source.randrange(width * 3 // 4), source.randrange(height * 3 // 4)
        right = source.randint(left + width // 8, width)
        bottom = source.randint(top + height // 8, height)
        figure = source.choice([pen.ellipse, pen.rectangle])
        figure((left, top, right, bottom), fill=_colour(source))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def picture(seed: int, width: int, height: int) -> dict[str, Any]:
    """Return a drawn picture as a part of a message."""
    data = base64.b64encode(draw(seed, width, height)).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}


def words(text: str) -> dict[str, Any]:
    """Return a text as a part of a message."""
    return {"type": "text", "text": text}


def said(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a chat in which a user says something."""
    return [{"role": "user", "content": list(parts)}]


def chats(count: int) -> list[list[dict[str, Any]]]:
    """Return questions about pictures of several sizes; every fourth one shows two of them."""
    return [said(*_parts(number)) for number in range(count)]


def _parts(number: int) -> Sequence[dict[str, Any]]:
    question = words(_QUESTIONS[number % len(_QUESTIONS)])
    first = picture(number, *_SIZES[number % len(_SIZES)])
    if number % 4 < 3:
        return first, question
    second = picture(1000 + number, *_SIZES[(number + 1) % len(_SIZES)])
    return first, words(f"That was picture {number}, and this is another one:"), second, question


def _colour(source: random.Random) -> tuple[int, int, int]:
    return source.randrange(256), source.randrange(256), source.randrange(256)
