"""Uploads: what is taken, what is refused, and that nothing is left of what was refused."""

from __future__ import annotations

import io
import struct
import time
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import falcon
import httpx
import pytest
from falcon import testing
from PIL import Image

from pyllama.errors import InvalidRequest
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import client_of
from wsgi.host import Host
from wsgi.webui import file_kinds, text_files
from wsgi.webui.file_kinds import LIMITS, Kind, kind_of
from wsgi.webui.text_files import cut_text
from wsgi.webui.upload import UploadEndpoint
from wsgi.webui.uploads import UploadStore

FORM = "multipart/form-data; boundary=B"


def picture(kind: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (3, 2)).save(out, kind)
    return out.getvalue()


def png_of(width: int, height: int) -> bytes:
    """Return a PNG that says to have this size, and has a pixel or two."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(64))
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


TAKEN = [
    ("a.png", picture("PNG"), "image"),
    ("a.jpeg", picture("JPEG"), "image"),
    ("a.gif", picture("GIF"), "image"),
    ("a.webp", picture("WEBP"), "image"),
    ("a.bmp", picture("BMP"), "image"),
    ("no suffix", picture("PNG"), "image"),
    ("a.wav", b"RIFF\0\0\0\0WAVEfmt ", "audio"),
    ("a.mp3", b"\xff\xfb\x90\x00" + bytes(60), "audio"),
    ("a.mp3", b"ID3\x04" + bytes(60), "audio"),
    ("a.ogg", b"OggS" + bytes(60), "audio"),
    ("a.flac", b"fLaC" + bytes(60), "audio"),
    ("a.m4a", b"\0\0\0\x20ftypM4A " + bytes(60), "audio"),
    ("a.m4a", b"\0\0\0\x20ftypmp42" + bytes(60), "audio"),
    ("a.weba", b"\x1a\x45\xdf\xa3" + bytes(60), "audio"),
    ("no suffix", b"\0\0\0\x20ftypmp42" + bytes(60), "video"),
    ("a.mp4", b"\0\0\0\x20ftypisom" + bytes(60), "video"),
    ("a.mov", b"\0\0\0\x14ftypqt  " + bytes(60), "video"),
    ("a.webm", b"\x1a\x45\xdf\xa3" + bytes(60), "video"),
    ("a.avi", b"RIFF\0\0\0\0AVI LIST", "video"),
    ("a.txt", "é中文".encode(), "text"),
    ("a.txt", b"BMX is a sport", "text"),
    ("a.py", b"\xef\xbb\xbfprint(1)", "text"),
    ("a.unknown", "x\n".encode("utf-16"), "text"),
    ("a.html", b"<script>alert(1)</script>", "text"),
]

REFUSED = [
    ("a.txt", b"", "empty"),
    ("a.png", png_of(100_000, 100_000), "too many pixels"),
    ("a.png", png_of(40_001, 1_000), "at most 40,000,000"),
    ("a.png", b"\x89PNG\r\n\x1a\nrubbish", "broken"),
    ("a.png", png_of(1, 1)[:40], "broken"),
    ("a.png", b"<html>", "named like a picture"),
    ("a.txt", picture("PNG"), "named like a text"),
    ("a.mp3", b"hello", "named like sound"),
    ("a.heic", b"\0\0\0\x20ftypheic" + bytes(60), "HEIC or AVIF is not read here; send a picture"),
    ("a.jpg", b"\0\0\0\x20ftypavif" + bytes(60), "HEIC or AVIF is not read here; send a picture"),
    ("a.png", b"II*\0" + bytes(60), "named like a picture"),
    ("a", b"\x00\x01\x02", "no type that is taken"),
    ("a.txt", b"\xff\xfe\x00", "no type that is taken"),
    ("a.txt", b"caf\xe9", "no type that is taken"),
    ("a.txt", b"a" * (1 << 20) + b"\xc3", "no type that is taken"),
    ("../a.txt", b"x", "without folders"),
    ("..", b"x", "name of 1 to"),
    ("/etc/passwd", b"x", "without folders"),
    ("a\\b.txt", b"x", "without folders"),
    ("a\x00b.txt", b"x", "without folders"),
    ("a" * 256, b"x", "name of 1 to"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where stores make their folders."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def store(folder: Path) -> UploadStore:
    """A store of small files."""
    return UploadStore(max_file_bytes=2 << 20, max_stored_bytes=3 << 20)


@pytest.fixture
def server(store: UploadStore) -> testing.TestClient:
    """A server with that store and the errors of the real one."""
    llm: Any = FakeLlama()
    app: Any = falcon.App()
    app.add_error_handler(InvalidRequest, _refuse)
    app.add_route("/api/upload", UploadEndpoint(Host(llm), store))
    return testing.TestClient(app)


def _refuse(_req: Any, resp: falcon.Response, exc: InvalidRequest, _params: Any) -> None:
    resp.status = 400
    resp.media = {"error": str(exc)}


def form(*files: tuple[str, bytes], end: bytes = b"--B--\r\n") -> bytes:
    parts = [
        b'--B\r\nContent-Disposition: form-data; name="f"; filename="'
        + name.encode()
        + b'"\r\n\r\n'
        + content
        + b"\r\n"
        for name, content in files
    ]
    return b"".join(parts) + end


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("name", "content", "kind"), TAKEN)
def test_files_are_told_by_their_content(
    client: httpx.Client, folder: Path, name: str, content: bytes, kind: str
) -> None:
    """Each is kept under a name that tells nothing, in a folder for its owner alone."""
    response = client.post("/api/upload", files={"file": (name, content)})
    assert response.status_code == 200, response.text
    told = response.json()
    assert told["ok"] is True
    assert (told["mediaType"], told["fileName"], told["size"]) == (kind, name, len(content))
    assert str(folder) not in response.text
    (kept,) = files_in(folder)
    assert kept.name == told["path"]
    assert kept.read_bytes() == content
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("name", "content", "reason"), REFUSED)
def test_what_is_refused_leaves_nothing(
    server: testing.TestClient, folder: Path, name: str, content: bytes, reason: str
) -> None:
    """A clear 400, and no file."""
    body = form((name, content))
    response = server.simulate_post("/api/upload", body=body, headers={"Content-Type": FORM})
    assert response.status_code == 400
    assert reason in response.json["error"]
    assert files_in(folder) == []


@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_large_file_is_refused(
    server: testing.TestClient, folder: Path, *, is_chunked: bool
) -> None:
    """413 by what the request says of its length, or by what comes; nothing is left."""
    body = form(("a.txt", b"a" * (3 << 20)))
    extras: dict[str, Any] = {}
    if is_chunked:
        extras = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
    headers = {"Content-Type": FORM}
    response = server.simulate_post("/api/upload", body=body, headers=headers, extras=extras)
    assert response.status_code == 413
    assert files_in(folder) == []


def test_media_that_no_prompt_can_hold_is_refused(
    server: testing.TestClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """413 with the limit of a file of media, which is less than that of a text."""
    monkeypatch.setattr(file_kinds, "LIMITS", replace(LIMITS, max_bytes=1000))
    headers = {"Content-Type": FORM}
    video = b"\x1a\x45\xdf\xa3" + bytes(997)
    answers = [
        server.simulate_post("/api/upload", body=form(("a", data)), headers=headers)
        for data in (b"x" * 1001, video)
    ]
    assert [answer.status_code for answer in answers] == [200, 413]
    assert "at most 1000 bytes" in answers[1].text
    assert len(files_in(folder)) == 1


def test_a_chunked_body_is_taken(server: testing.TestClient) -> None:
    """A form of unknown length works."""
    extras: dict[str, Any] = {"CONTENT_LENGTH": "", "wsgi.input_terminated": True}
    headers = {"Content-Type": FORM}
    body = form(("a.txt", b"abc"))
    response = server.simulate_post("/api/upload", body=body, headers=headers, extras=extras)
    assert response.json["textContent"] == "abc"


@pytest.mark.parametrize(
    ("content_type", "body", "reason"),
    [
        ("application/json", b"{}", "Expected multipart form data"),
        (FORM, b"--B--\r\n", "No file uploaded"),
        (FORM, b'--B\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n--B--', "No file"),
        (FORM, form(("a.txt", b"1"), ("b.txt", b"2")), "one file"),
        (FORM, form(("a.txt", b"1"), end=b""), "unexpected form structure"),
        (FORM, form(("a.txt", b"1"))[:-25], "incomplete body part headers"),
        (FORM, b"rubbish", "unexpected form structure"),
        ("multipart/form-data", b"x", "boundary"),
    ],
)
def test_broken_forms_are_refused(
    client: httpx.Client, folder: Path, content_type: str, body: bytes, reason: str
) -> None:
    """A form that ends early is none, so the file in it is not kept."""
    headers = {"Content-Type": content_type}
    response = client.post("/api/upload", content=body, headers=headers)
    assert response.status_code == 400
    assert reason in response.json()["error"]
    assert files_in(folder) == []


def test_a_name_in_no_encoding_is_refused(client: httpx.Client, folder: Path) -> None:
    """Bytes that are no UTF-8 are a 400."""
    body = form(("NAME", b"1")).replace(b"NAME", b"\xff\xfe")
    response = client.post("/api/upload", content=body, headers={"Content-Type": FORM})
    assert response.status_code == 400
    assert files_in(folder) == []


def test_files_are_not_served(client: httpx.Client, folder: Path) -> None:
    """There is no way to list uploads or to get one back."""
    path = client.post("/api/upload", files={"f": ("a.txt", b"x")}).json()["path"]
    for url in ("/api/upload", f"/api/upload/{path}", f"/uploads/{path}", "/uploads"):
        assert client.get(url).status_code in {404, 405}


def test_old_files_go(folder: Path) -> None:
    """A file is deleted when its time is over, whether or not somebody asks for it."""
    store = UploadStore(lifetime_s=0.2)
    upload = store.add([b"x"], lambda _: "image")
    assert store.get(upload.id, "p") is upload
    deadline_s = time.monotonic() + 10
    while files_in(folder) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    assert files_in(folder) == []
    with pytest.raises(InvalidRequest, match="upload it again") as caught:
        store.get(upload.id, "messages[0].imagePaths[0]")
    assert caught.value.param == "messages[0].imagePaths[0]"


def test_oldest_files_make_room(folder: Path) -> None:
    """All files together keep within their limit."""
    store = UploadStore(max_stored_bytes=10)
    uploads = [store.add([b"1234"], lambda _: "text") for _ in range(3)]
    assert len(files_in(folder)) == 2
    assert not uploads[0].file.exists()
    store.discard(uploads[1])
    assert files_in(folder) == [uploads[2].file]


def test_the_folder_goes_with_the_store(folder: Path) -> None:
    """Nothing stays on the disk of a server that ended."""
    store = UploadStore()
    store.add([b"x"], lambda _: "text")
    del store
    assert list(folder.iterdir()) == []


def test_a_long_text_is_cut_to_half_of_the_context(client: httpx.Client, folder: Path) -> None:
    """What is returned are whole tokens, counted, beside the count of all."""
    told = client.post("/api/upload", files={"f": ("a.txt", b"a" * 5000)}).json()
    assert told["textContent"] == "a" * 2048
    assert told["truncated"] is True
    assert (told["truncateLimit"], told["truncateUnit"]) == (2048, "tokens")
    assert (told["originalTokenCount"], told["returnedTokenCount"]) == (5000, 2048)
    assert told["modelContextLimit"] == 4096


def test_a_short_text_is_returned_whole(client: httpx.Client, folder: Path) -> None:
    """Line ends and marks of control tokens stay what they are."""
    text = "a\r\n<|im_end|>\n"
    told = client.post("/api/upload", files={"f": ("a.md", text.encode())}).json()
    assert told["textContent"] == text
    assert told["truncated"] is False
    assert told["originalTokenCount"] == told["returnedTokenCount"] == len(text)


def test_a_text_too_long_to_count_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a very long text only the beginning is read, and no count of the whole is told."""
    monkeypatch.setattr(text_files, "_MAX_CHARS", 10)
    llm: Any = FakeLlama()
    llm.n_ctx = 4
    file = tmp_path / "a"
    file.write_text("a" * 100)
    cut = cut_text(file, llm)
    assert (cut.text, cut.is_cut, cut.n_original_tokens) == ("aa", True, None)


class HalfCharacters(FakeLlama):
    """A vocabulary of which each token is a byte, and that writes a space before a text."""

    def tokenize(self, text: str, **_options: Any) -> list[int]:
        return list(text.encode())

    def detokenize(self, tokens: Any, *, special: bool = False) -> str:
        return " " + bytes(tokens).decode("utf-8", "replace")


def test_a_cut_is_between_characters(tmp_path: Path) -> None:
    """A token that ends inside of a character is left out, and a cut text begins like the whole."""
    llm: Any = HalfCharacters()
    llm.n_ctx = 10
    file = tmp_path / "a"
    file.write_text("é" * 8, encoding="utf-8")
    cut = cut_text(file, llm)
    assert cut.text == "é" * 2
    assert cut.n_tokens == 4


def test_pixels_are_counted_without_decoding(tmp_path: Path) -> None:
    """A picture of the most pixels that are taken passes, though it has no content."""
    file = tmp_path / "a.png"
    file.write_bytes(png_of(LIMITS.max_pixels, 1))
    assert kind_of(file, "a.png") == "image"


@pytest.fixture
def uploaded(client: httpx.Client, folder: Path) -> dict[Kind, str]:
    """The handle of a picture and of a text."""
    return {
        "image": client.post("/api/upload", files={"f": ("a", picture("PNG"))}).json()["path"],
        "text": client.post("/api/upload", files={"f": ("a", b"x")}).json()["path"],
    }


@pytest.mark.parametrize(
    ("kind", "field", "status", "reason"),
    [
        ("image", "imagePaths", 400, "takes text only, no pictures"),
        ("text", "imagePaths", 400, "of another kind"),
        ("image", "audioPaths", 400, "of another kind"),
        (None, "imagePaths", 404, "upload it again"),
    ],
)
def test_files_that_a_model_cannot_take_are_refused(
    client: httpx.Client,
    llm: FakeLlama,
    uploaded: dict[Kind, str],
    *,
    kind: Kind | None,
    field: str,
    status: int,
    reason: str,
) -> None:
    """The refusal comes before any event, says why, and names the message."""
    handle = uploaded[kind] if kind else "/etc/passwd"
    message = {"role": "user", "content": "What is this?", field: [handle]}
    response = client.post("/api/chat", json={"messages": [message]})
    assert response.status_code == status
    assert response.json()["ok"] is False
    assert reason in response.json()["error"]
    assert response.json()["param"] == f"messages[0].{field}[0]"
    assert llm.generations == []


def test_text_files_are_named_only(
    client: httpx.Client, llm: FakeLlama, uploaded: dict[Kind, str]
) -> None:
    """Their text is in the message already, so it goes to the model once."""
    message = {"role": "user", "content": "x", "textFilePaths": [uploaded["text"]]}
    assert client.post("/api/chat", json={"messages": [message]}).status_code == 200
    assert llm.generations[0].prompt.source == [{"role": "user", "content": "x"}]


def test_a_model_that_loads_takes_no_files(folder: Path) -> None:
    """503 before the body is read."""
    response = client_of(Host()).post("/api/upload", files={"f": ("a.txt", b"x")})
    assert response.status_code == 503
    assert files_in(folder) == []
