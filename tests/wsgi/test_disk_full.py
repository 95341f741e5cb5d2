"""A disk without room: 507 in the dialect's shape, and nothing is left of what was written."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pyllama.errors import DiskFull
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import ClientOf
from tests.wsgi.test_openapi import check_answer
from wsgi.webui.uploads import UploadStore

UPLOAD = "/api/upload"
TEXT = b"a line of text\n" * 20_000
HI = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9}


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 64 KiB, where the server keeps its files."""
    options = ("-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path))
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("nothing can be mounted here")
    done = subprocess.run([mount, *options], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("nothing can be mounted here")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield tmp_path
    subprocess.run([umount, "-l", str(tmp_path)], check=True)


@pytest.fixture
def fail_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], Path]:
    """Makes a step of keeping a file fail with an error of the system."""

    def fail(step: str, code: int) -> Path:
        def refuse(*_: Any, **__: Any) -> Any:
            raise OSError(code, os.strerror(code), str(tmp_path / "secret"))

        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        if step in {"open", "mkdir"}:
            monkeypatch.setattr(os, step, refuse)
        else:
            monkeypatch.setattr(os, "fdopen", _Opener(step, refuse))
        return tmp_path

    return fail


class _Opener:
    """Opens files of which one method fails."""

    def __init__(self, step: str, refuse: Callable[..., Any]) -> None:
        self._fdopen = os.fdopen
        self._step = step
        self._refuse = refuse

    def __call__(self, descriptor: int, mode: str) -> Any:
        step, refuse = self._step, self._refuse
        file = self._fdopen(descriptor, mode)

        class Failing:
            """A file on a disk that is full."""

            def __enter__(self) -> Failing:
                return self

            def __exit__(self, *_: object) -> None:
                file.close()
                if step == "close":
                    refuse()

            def write(self, chunk: bytes) -> None:
                if step == "write":
                    file.write(chunk[:10])
                    refuse()

        return Failing()


def check_refused(response: httpx.Response, folder: Path) -> None:
    check_answer(UPLOAD, "post", response)
    assert response.status_code == 507, response.text
    told = response.json()
    assert (told["ok"], told["code"]) == (False, 507)
    assert "room" in told["error"]
    assert str(folder) not in response.text
    assert "secret" not in response.text


def test_a_full_file_system_is_507(client: httpx.Client, small_disk: Path) -> None:
    """No part of the file stays, and one that has room is taken after it."""
    check_refused(client.post(UPLOAD, files={"file": ("a.txt", TEXT)}), small_disk)
    assert [path for path in small_disk.rglob("*") if path.is_file()] == []
    assert client.post(UPLOAD, files={"file": ("a.txt", TEXT[:1000])}).status_code == 200


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("step", ["mkdir", "open", "write", "close"])
def test_each_step_of_keeping_a_file_may_find_no_room(
    client: httpx.Client, fail_at: Callable[[str, int], Path], step: str, code: int
) -> None:
    """Whichever step it is, the client is told so, and nothing is left."""
    folder = fail_at(step, code)
    response = client.post(UPLOAD, files={"file": ("a.txt", TEXT)})
    check_refused(response, folder)
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_another_fault_of_the_disk_is_500(
    client: httpx.Client, fail_at: Callable[[str, int], Path]
) -> None:
    """What no room would mend is not called that."""
    fail_at("write", errno.EIO)
    assert client.post(UPLOAD, files={"file": ("a.txt", TEXT)}).status_code == 500


def test_no_folder_takes_anything(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python looks for a folder that takes some bytes; where none does, that is the same fault."""

    def refuse() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/secret']")

    monkeypatch.setattr("tempfile.gettempdir", refuse)
    response = client.post(UPLOAD, files={"file": ("a.txt", TEXT)})
    check_refused(response, Path("/secret"))


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/api/chat", "/v1/messages"])
def test_it_is_told_in_every_dialect(
    connect: ClientOf, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever a request's work meets a full disk: its status, no path, a line for the operator."""
    fault: Any = OSError(errno.ENOSPC, "No space left on device", "/secret/file")
    response = connect(FakeLlama(start_error=fault)).post(path, json=HI)
    assert response.status_code == 507
    assert "room" in response.text
    assert "secret" not in response.text
    assert "DiskFull" in caplog.text


def test_the_store_says_so_in_the_library_s_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that has no folder raises the error that the table of errors knows."""
    monkeypatch.setattr("tempfile.gettempdir", _no_folder)
    with pytest.raises(DiskFull):
        UploadStore().add([b"x"], lambda _: "text")


def _no_folder() -> str:
    raise FileNotFoundError
