"""Pictures, sound and video of the page: from handles to parts of a message."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from pyllama.errors import InvalidMedia
from tests.support import media_files
from tests.support.fake_generation import FakePrompt
from tests.support.fake_llama import FakeLlama
from wsgi.webui import messages, uploads

PICTURE, SOUND = media_files.picture(), media_files.wav()
QUESTION = {"type": "text", "text": "What?"}


@pytest.fixture
def llm(llm: FakeLlama) -> FakeLlama:
    """A model that sees and hears."""
    llm.info = replace(llm.info, has_vision=True, has_audio=True)
    return llm


def handle_of(client: httpx.Client, data: bytes) -> str:
    told = client.post("/api/upload", files={"f": ("a", data)}).json()
    return str(told["path"])


def ask(client: httpx.Client, **members: Any) -> httpx.Response:
    message = {"role": "user", "content": "What?", **members}
    return client.post("/api/chat", json={"messages": [message]})


def test_files_stand_before_the_question(client: httpx.Client, llm: FakeLlama) -> None:
    """As parts that hold their bytes: pictures, then sound, then video, then the text."""
    video = media_files.video(4)
    handles = {
        "videoPaths": [handle_of(client, video)],
        "audioPaths": [handle_of(client, SOUND)],
        "imagePaths": [handle_of(client, PICTURE)] * 2,
    }
    assert ask(client, **handles).status_code == 200
    (message,) = llm.generations[0].prompt.source
    picture = {"type": "image", "image": PICTURE}
    sound, film = {"type": "audio", "audio": SOUND}, {"type": "video", "video": video}
    assert message == {"role": "user", "content": [picture, picture, sound, film, QUESTION]}


def test_a_video_may_stand_among_the_pictures(client: httpx.Client, llm: FakeLlama) -> None:
    """Where the message says that it is one; else it is a file of another kind."""
    handles = [handle_of(client, media_files.video(4))]
    assert ask(client, imagePaths=handles, isVideo=True).status_code == 200
    assert llm.generations[0].prompt.source[0]["content"][0]["type"] == "video"
    assert ask(client, imagePaths=handles).status_code == 400


def test_a_file_needs_no_question(client: httpx.Client, llm: FakeLlama) -> None:
    """An empty text is no part of the message."""
    assert ask(client, content="", imagePaths=[handle_of(client, PICTURE)]).status_code == 200
    (message,) = llm.generations[0].prompt.source
    assert message["content"] == [{"type": "image", "image": PICTURE}]


def test_what_the_library_refuses_is_named_by_its_handle(
    client: httpx.Client, llm: FakeLlama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client knows of no parts: it is told which of its files is broken."""

    def refuse(_messages: Any, **_options: Any) -> FakePrompt:
        path = "messages[0].content[1].audio"
        raise InvalidMedia(f"{path} cannot be read: it is cut off", param=path)

    monkeypatch.setattr(llm, "chat_prompt", refuse)
    handles = {
        "imagePaths": [handle_of(client, PICTURE)],
        "audioPaths": [handle_of(client, SOUND)],
    }
    response = ask(client, **handles)
    assert response.status_code == 400
    assert response.json()["param"] == "messages[0].audioPaths[0]"
    assert response.json()["error"].startswith("messages[0].audioPaths[0] cannot be read")


@pytest.mark.parametrize("field", ["imagePaths", "audioPaths", "videoPaths", "textFilePaths"])
@pytest.mark.parametrize("handle", ["/etc/passwd", "../../etc/passwd", "upload_none", ""])
def test_a_path_is_no_handle(client: httpx.Client, llm: FakeLlama, field: str, handle: str) -> None:
    """A client can name files of its own only; texts are not read again at all."""
    status = ask(client, **{field: [handle]}).status_code
    assert status == (200 if field == "textFilePaths" else 404)
    assert [generation.prompt.source for generation in llm.generations] == (
        [[{"role": "user", "content": "What?"}]] if status == 200 else []
    )


def test_a_file_that_goes_while_it_is_asked_for_is_unknown(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """404 as for every other that is not kept; the answer does not say where it lay."""
    handle = handle_of(client, PICTURE)
    get = uploads.UploadStore.get

    def get_late(self: uploads.UploadStore, upload_id: str, param: str) -> uploads.Upload:
        upload = get(self, upload_id, param)
        upload.file.unlink()
        return upload

    monkeypatch.setattr(uploads.UploadStore, "get", get_late)
    response = ask(client, imagePaths=[handle])
    assert response.status_code == 404
    assert "upload it again" in response.json()["error"]
    assert "pyllama-uploads" not in response.text


def test_all_files_of_a_request_have_a_limit(
    client: httpx.Client, llm: FakeLlama, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small request cannot name one large file again and again until memory is full."""
    monkeypatch.setattr(messages, "MAX_MEDIA_BYTES", 3 * len(PICTURE))
    handle = handle_of(client, PICTURE)
    assert ask(client, imagePaths=[handle] * 3).status_code == 200
    response = ask(client, imagePaths=[handle] * 4)
    assert response.status_code == 400
    assert response.json()["param"] == "messages[0].imagePaths[3]"
    assert len(llm.generations) == 1


def test_eyes_do_not_hear(client: httpx.Client, llm: FakeLlama) -> None:
    """A projector for pictures alone takes no sound, and the refusal says just that."""
    llm.info = replace(llm.info, has_audio=False)
    response = ask(client, audioPaths=[handle_of(client, SOUND)])
    assert response.status_code == 400
    assert "takes no sound" in response.json()["error"]
