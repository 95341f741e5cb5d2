"""The media of a request among its prompt's tokens."""

from __future__ import annotations

from typing import Any

import pytest

from pyllama.errors import InvalidMedia, InvalidRequest, Unsupported
from pyllama.media import Attachments
from pyllama.text import messages as chat_messages
from tests.support import media_files
from tests.support.fake_projector import FakeProjector, reader


def prompt(attachments: Attachments, text: str, *parts: dict[str, Any]) -> tuple[Any, Any]:
    """Add parts, and tokenise a text in which a star stands for each of them."""
    for index, part in enumerate(parts):
        for marker in attachments.add(part, f"messages[0].content[{index}]"):
            text = text.replace("*", marker["text"], 1)
    return attachments.tokenize(text)


def test_a_picture_is_a_run_of_one_negative_number() -> None:
    """It stands between the texts, in the frame that the projector puts around it."""
    part = media_files.image_part(media_files.picture(width=5, height=5))
    tokens, (span,) = prompt(reader(FakeProjector()).begin(), "a*b", part)
    assert tokens[:3] == (900, ord("a"), 1)
    assert tokens[8:] == (2, ord("b"), 901)
    assert (span.start, span.count) == (3, 5)
    assert len(set(tokens[3:8])) == 1
    assert tokens[3] < -(2**128)


def test_the_number_depends_on_the_content_alone() -> None:
    """Not on the request, the place, or the file that held it."""
    pictures = [media_files.picture(seed, 5, 5, kind) for seed, kind in ((0, "PNG"), (0, "BMP"))]
    numbers = []
    for data in (*pictures, media_files.picture(1, 5, 5)):
        tokens, (span,) = prompt(
            reader(FakeProjector()).begin(), "abc*d", media_files.image_part(data)
        )
        numbers.append(tokens[span.start])
    assert numbers[0] == numbers[1] != numbers[2]


def test_media_keep_the_order_of_their_marks() -> None:
    """A template may turn messages round; one that it drops is not computed."""
    attachments = reader(FakeProjector()).begin()
    parts = [media_files.image_part(media_files.picture(0, width, 5)) for width in (3, 4, 5)]
    marks = [attachments.add(part, "part")[0]["text"] for part in parts]
    _, spans = attachments.tokenize(f"a{marks[2]}b{marks[0]}c")
    assert [span.count for span in spans] == [5, 3]


def test_nobody_can_write_a_mark() -> None:
    """Marks differ between requests, and text that looks like one stays text."""
    attachments = reader(FakeProjector()).begin()
    part = media_files.image_part(media_files.picture())
    (mark,) = attachments.add(part, "part")
    (other,) = reader(FakeProjector()).begin().add(part, "part")
    assert mark["text"] != other["text"]
    tokens, spans = attachments.tokenize(other["text"])
    assert spans == ()
    assert tokens == (900, *map(ord, other["text"]), 901)


def test_a_video_is_a_row_of_pictures() -> None:
    """Each of its frames has a mark of its own."""
    part = {"type": "video", "video": media_files.video()}
    markers = reader(FakeProjector(), max_frames=3).begin().add(part, "part")
    assert [marker["type"] for marker in markers] == ["media_marker"] * 3


def test_a_model_without_a_projector_takes_no_media() -> None:
    """The refusal names the part and the option."""
    attachments = reader(None).begin()
    with pytest.raises(Unsupported, match=r"start it with --mmproj to send a picture") as caught:
        attachments.add(media_files.image_part(media_files.picture()), "messages[0].content[1]")
    assert caught.value.param == "messages[0].content[1].image_url.url"


def test_a_projector_takes_what_it_was_made_for() -> None:
    """Pictures or sound."""
    deaf = FakeProjector()
    deaf.has_audio = False
    with pytest.raises(Unsupported, match="takes no sound"):
        reader(deaf).begin().add(media_files.audio_part(media_files.wav()), "part")


def test_a_request_has_a_bounded_number_of_parts() -> None:
    """The first one too many is named."""
    attachments = reader(FakeProjector(), max_parts=2).begin()
    part = media_files.image_part(media_files.picture())
    attachments.add(part, "one")
    attachments.add(part, "two")
    with pytest.raises(InvalidMedia, match="three: a request may hold 2 media parts"):
        attachments.add(part, "three")


@pytest.mark.parametrize(
    ("projector", "reason"),
    [
        (FakeProjector(is_causal=False), r"takes 60 tokens .* at most 50 can be"),
        (FakeProjector(has_failed=True), "cannot be shown to this model: no"),
    ],
)
def test_what_the_encoder_cannot_take_is_refused(projector: FakeProjector, reason: str) -> None:
    """The part is named, not a function of C."""
    part = media_files.image_part(media_files.picture())
    with pytest.raises(InvalidMedia, match=reason) as caught:
        prompt(reader(projector).begin(), "*a", part)
    assert caught.value.param == "messages[0].content[0]"


@pytest.mark.parametrize("role", ["system", "developer", "assistant"])
def test_only_users_and_tools_show_something(role: str) -> None:
    """Media of others are refused by their path."""
    part = media_files.image_part(media_files.picture())
    with pytest.raises(InvalidRequest, match=f"not of {role}") as caught:
        chat_messages.checked([{"role": role, "content": [part]}], reader(FakeProjector()).begin())
    assert caught.value.param == "messages[0].content[0]"


def test_messages_keep_their_text_around_the_marks() -> None:
    """A part of media becomes its marks, in place."""
    part = media_files.image_part(media_files.picture())
    text = {"type": "text", "text": "What is it?"}
    (message,) = chat_messages.checked(
        [{"role": "user", "content": [text, part, text]}], reader(FakeProjector()).begin()
    )
    assert [piece["type"] for piece in message["content"]] == ["text", "media_marker", "text"]


@pytest.mark.parametrize("kind", ["file", "media_marker", [], {}, None, 5])
def test_parts_of_other_kinds_are_refused(kind: Any) -> None:
    """Marks of one's own too: only we write them."""
    with pytest.raises(InvalidRequest, match="must be text or a kind of media"):
        chat_messages.checked(
            [{"role": "user", "content": [{"type": kind, "text": "x"}]}],
            reader(FakeProjector()).begin(),
        )
