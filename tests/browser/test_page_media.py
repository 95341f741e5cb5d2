"""Pictures, sound and video on the page: sent, shown and answered by a model that takes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.support import media_files, projectors
from tests.support.chat_page import ChatPage, sent_body
from tests.support.page_files import attach_picture, coloured
from tests.support.serving import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SEES = pytest.mark.parametrize("server", ["mlp"], indirect=True)
HEARS = pytest.mark.parametrize("server", ["sound"], indirect=True)
QUESTION = "What is it?"
_FORGET_FILES = """() => new Promise((resolve, reject) => {
  const opened = indexedDB.open("pyllama");
  opened.onsuccess = () => {
    const change = opened.result.transaction("files", "readwrite");
    change.objectStore("files").clear();
    change.oncomplete = resolve;
    change.onerror = reject;
  };
})"""


@pytest.fixture(scope="module")
def server(
    request: pytest.FixtureRequest,
    server_environ: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    """A server with a projector of random weights, of the kind that the test names."""
    mmproj = projectors.make(tmp_path_factory.mktemp("projectors"), request.param)
    environ = {**server_environ, "LLAMA_ARG_MMPROJ": str(mmproj)}
    with Server("-c", "python:wsgi.gunicorn_conf", "wsgi:app", environ=environ) as server:
        yield server.ready()


def show(chat: ChatPage, path: Path, way: str = "button") -> str:
    """Ask about a file; return the answer."""
    attach_picture(chat, way, path)
    return asked(chat)


def asked(chat: ChatPage) -> str:
    wait_for_upload(chat)
    return chat.ask(QUESTION)


def wait_for_upload(chat: ChatPage) -> None:
    size = chat.page.locator(".chip:not(.is-faulty) small")
    expect(size).to_have_text(re.compile(r"\d.*(byte|kB|MB)"))


def cached(chat: ChatPage) -> int:
    """Return how many tokens the last answer's figures tell to have been cached."""
    text = chat.last_answer.locator(".stats").inner_text()
    found = re.search(r"(\d+) of \d+ prompt tokens cached", text)
    assert found, text
    return int(found[1])


@SEES
@pytest.mark.parametrize("way", ["button", "drop", "paste"])
def test_a_picture_is_sent_shown_and_answered(chat: ChatPage, tmp_path: Path, way: str) -> None:
    """However it comes: uploaded, sent by its handle, and small in the message."""
    with chat.page.expect_request("**/api/chat") as sent:
        assert show(chat, coloured(tmp_path, "red"), way)
    *_, message = sent_body(sent.value)["messages"]
    assert message["content"] == QUESTION
    assert [handle.startswith("upload_") for handle in message["imagePaths"]] == [True]
    picture = chat.page.locator(".message.user").get_by_role("img", name="red.png")
    assert picture.evaluate("(image) => image.naturalWidth") == 64


@SEES
def test_the_answer_depends_on_the_picture(open_page: OpenPage, tmp_path: Path) -> None:
    """Two pictures, two answers; the same one the same, and nothing of it is computed again."""
    answers = []
    for color in ("red", "blue", "red"):
        chat = open_page()
        answers.append(show(chat, coloured(tmp_path, color)))
    assert answers[0] == answers[2] != answers[1]
    assert cached(chat) > 16
    before = cached(chat)
    assert chat.ask("And now?")
    assert cached(chat) > before


@SEES
def test_a_picture_stays_after_a_reload(chat: ChatPage, tmp_path: Path) -> None:
    """It is shown, and uploaded again where it is needed: its handle was of the former visit."""
    first = show(chat, coloured(tmp_path, "green"))
    chat.page.reload()
    chat.ready()
    expect(chat.page.get_by_role("img", name="green.png")).to_be_visible()
    with chat.page.expect_request("**/api/upload"):
        chat.last_answer.get_by_role("button", name="Answer again").click()
    expect(chat.last_answer.locator(".versions")).to_contain_text("2/2")
    assert chat.answer() == first


@SEES
def test_a_file_that_the_server_forgot_is_sent_again(chat: ChatPage, tmp_path: Path) -> None:
    """The person does not notice that an hour has passed."""
    show(chat, coloured(tmp_path, "teal"))
    gone = {"error": "no file is kept here (any more)", "param": "messages[0].imagePaths[0]"}
    chat.page.route("**/api/chat", lambda route: route.fulfill(status=404, json=gone), times=1)
    with chat.page.expect_request("**/api/upload"):
        chat.write("And now?")
    assert chat.answer()
    expect(chat.last_answer.locator(".trouble")).to_have_count(0)


@SEES
def test_a_file_that_is_nowhere_is_to_be_attached_again(chat: ChatPage, tmp_path: Path) -> None:
    """Neither server nor browser has it: the page says what to do."""
    show(chat, coloured(tmp_path, "navy"))
    chat.page.evaluate(_FORGET_FILES)
    chat.page.reload()
    chat.ready()
    expect(chat.page.get_by_role("img", name="navy.png")).to_be_visible()
    chat.write("And now?")
    expect(chat.last_answer.locator(".trouble")).to_contain_text(
        "navy.png is no longer in this browser. Attach it again"
    )


@SEES
def test_a_video_is_played_and_answered(chat: ChatPage, tmp_path: Path, screenshots: Path) -> None:
    """In a player, before and after a reload; with no question, the page asks one."""
    path = tmp_path / "film.webm"
    path.write_bytes(media_files.video(kind="webm", codec="libvpx"))
    chat.attach(path)
    wait_for_upload(chat)
    with chat.page.expect_request("**/api/chat") as sent:
        chat.page.get_by_role("button", name="Send").click()
    assert chat.answer()
    *_, message = sent_body(sent.value)["messages"]
    assert message["content"] == "Describe this video."
    assert len(message["videoPaths"]) == 1
    for _ in range(2):
        player = chat.page.get_by_label("film.webm", exact=True)
        player.evaluate(
            "async (video) => { if (!video.videoWidth) await new Promise((resolve) => "
            "video.addEventListener('loadedmetadata', resolve)); }"
        )
        chat.page.screenshot(path=screenshots / "video.png")
        chat.page.reload()
        chat.ready()


@SEES
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_picture_on_a_phone(
    open_page: OpenPage, tmp_path: Path, screenshots: Path, scheme: str
) -> None:
    """Attached, sent and answered in Chinese, it leaves nothing wider than the screen."""
    chat = open_page(viewport={"width": 390, "height": 844}, color_scheme=scheme, locale="zh-CN")
    picture = tmp_path / "wide.png"
    picture.write_bytes(media_files.picture(3, 1600, 300))
    chat.attach(picture)
    expect(chat.page.locator(".chip small")).not_to_have_text("正在上传…")
    chat.page.screenshot(path=screenshots / f"attached-phone-{scheme}.png")
    assert chat.ask("这是什么？")
    chat.page.screenshot(path=screenshots / f"picture-phone-{scheme}.png")
    assert chat.page.evaluate("document.documentElement.scrollWidth") <= 390


@SEES
def test_eyes_do_not_hear(chat: ChatPage, tmp_path: Path) -> None:
    """Sound for a model that only sees is marked before a question is written."""
    path = tmp_path / "voice.wav"
    path.write_bytes(media_files.wav())
    chat.attach(path)
    expect(chat.page.locator(".chip.is-faulty")).to_contain_text("This model cannot hear sound.")


@HEARS
def test_sound_is_played_and_answered(
    open_page: OpenPage, tmp_path: Path, screenshots: Path
) -> None:
    """In a player, sent by its handle; the same recording has the same answer."""
    answers = []
    for seed in (1, 2, 1):
        path = tmp_path / f"voice{seed}.wav"
        path.write_bytes(media_files.wav(seed))
        chat = open_page()
        chat.attach(path)
        answers.append(asked(chat))
        duration_s = chat.page.get_by_label(path.name, exact=True).evaluate(
            "async (sound) => { if (!sound.duration) await new Promise((resolve) => "
            "sound.addEventListener('loadedmetadata', resolve)); return sound.duration; }"
        )
        assert duration_s == pytest.approx(0.5, abs=0.1)
    chat.page.screenshot(path=screenshots / "sound.png")
    assert answers[0] == answers[-1]
    assert cached(chat) > 16
