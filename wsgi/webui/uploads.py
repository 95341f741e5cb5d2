"""Files that were uploaded: on disk under random names, for a while, in a folder of their own."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
import weakref
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import falcon

from pyllama.errors import DiskFull, InvalidRequest

from ..ids import random_id
from .errors import UnknownUpload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .file_kinds import Kind

MAX_FILE_BYTES = 500 * 1024 * 1024
"""Largest file."""

FORM_BYTES = 64 * 1024
"""What a form may have beside its file."""

MAX_STORED_BYTES = 4 * MAX_FILE_BYTES
"""Most bytes of all files together; the oldest go to make room."""

LIFETIME_S = 3600.0
"""Seconds after which a file is deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that is kept."""

    id: str
    """What its owner knows it by."""
    file: Path
    """Where it lies; nobody outside of the server learns this."""
    kind: Kind
    n_bytes: int
    expires_s: float
    """When it goes, on the clock of the store."""


class UploadStore:
    """Keeps files; any thread may use it.

    They are deleted when their time is over, when the store is, and when the process ends.

    Args:
        max_file_bytes: size of one file.
        max_stored_bytes: size of all.
        lifetime_s: seconds until a file is deleted.
    """

    def __init__(
        self,
        *,
        max_file_bytes: int = MAX_FILE_BYTES,
        max_stored_bytes: int = MAX_STORED_BYTES,
        lifetime_s: float = LIFETIME_S,
    ) -> None:
        self.max_file_bytes = max_file_bytes
        self._max_stored_bytes = max_stored_bytes
        self._lifetime_s = lifetime_s
        self._lock = threading.Lock()
        self._uploads: OrderedDict[str, Upload] = OrderedDict()
        self._folder: Path | None = None
        self._timer: threading.Timer | None = None

    def add(self, chunks: Iterable[bytes], look: Callable[[Path], Kind]) -> Upload:
        """Write a file to disk as it comes, look at it, and keep it.

        Args:
            chunks: its content; never in memory as a whole.
            look: tells what it is, or raises InvalidRequest: nothing is kept then.

        Raises:
            HTTPContentTooLarge: it is too large; it was read as far as the limit.
            InvalidRequest: it is empty, or nothing that is taken.
            DiskFull, OSError: there is no room for it; what was written of it is deleted.
        """
        upload_id = random_id("upload_")
        file = self._made_folder() / upload_id
        try:
            n_bytes = self._write(file, chunks)
            kind = look(file)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        upload = Upload(
            id=upload_id,
            file=file,
            kind=kind,
            n_bytes=n_bytes,
            expires_s=time.monotonic() + self._lifetime_s,
        )
        self._keep(upload)
        return upload

    def get(self, upload_id: str, param: str) -> Upload:
        """Return a file that is kept. Raises UnknownUpload, which names the field ``param``."""
        with self._lock:
            self._expire()
            upload = self._uploads.get(upload_id)
        if upload is None:
            raise _unknown(upload_id, param)
        return upload

    def read(self, upload: Upload, param: str) -> bytes:
        """Return what a file holds. Raises UnknownUpload: it went in the meantime."""
        try:
            return upload.file.read_bytes()
        except FileNotFoundError:
            # Not from it: where files lie is nobody's business.
            raise _unknown(upload.id, param) from None

    def discard(self, upload: Upload) -> None:
        """Delete a file before its time."""
        with self._lock:
            self._uploads.pop(upload.id, None)
        upload.file.unlink(missing_ok=True)

    def _write(self, file: Path, chunks: Iterable[bytes]) -> int:
        n_bytes = 0
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            for chunk in chunks:
                n_bytes += len(chunk)
                if n_bytes > self.max_file_bytes:
                    raise too_large(self.max_file_bytes)
                out.write(chunk)
        if not n_bytes:
            raise InvalidRequest("the file is empty; send one with content", param="file")
        return n_bytes

    def _keep(self, upload: Upload) -> None:
        with self._lock:
            self._uploads[upload.id] = upload
            self._expire()
            while sum(kept.n_bytes for kept in self._uploads.values()) > self._max_stored_bytes:
                self._delete_oldest()
            if self._timer is None:
                self._start_timer()

    # ---- with the lock held -------------------------------------------------------------------

    def _expire(self) -> None:
        now_s = time.monotonic()
        while self._uploads and next(iter(self._uploads.values())).expires_s <= now_s:
            self._delete_oldest()

    def _delete_oldest(self) -> None:
        _, upload = self._uploads.popitem(last=False)
        upload.file.unlink(missing_ok=True)

    def _start_timer(self) -> None:
        oldest = next(iter(self._uploads.values()), None)
        if oldest is None:
            self._timer = None
            return
        # It must not keep the store alive that it is to serve.
        reference = weakref.ref(self)
        self._timer = threading.Timer(
            max(oldest.expires_s - time.monotonic(), 0.0), lambda: _on_timer(reference)
        )
        self._timer.daemon = True
        self._timer.start()

    # ---- without ------------------------------------------------------------------------------

    def _made_folder(self) -> Path:
        """Return the folder, made when it is first needed; nobody else may look into it."""
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="pyllama-uploads-", dir=_temporary()))
                # Also called when the interpreter ends.
                weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
            return self._folder

    def _tick(self) -> None:
        with self._lock:
            self._expire()
            self._start_timer()


def _temporary() -> str:
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        # Each folder was tried, and took not even a few bytes.
        raise DiskFull(
            "the server has no folder with room for files; send the text in the message"
        ) from None


def _unknown(upload_id: str, param: str) -> UnknownUpload:
    return UnknownUpload(
        f"{param}: no file {upload_id[:80]!r} is kept here (any more); upload it again", param=param
    )


def too_large(limit: int) -> falcon.HTTPContentTooLarge:
    """Return the error of a file above a limit."""
    return falcon.HTTPContentTooLarge(
        description=f"the file is too large; at most {limit} bytes are taken"
    )


def _on_timer(reference: weakref.ref[UploadStore]) -> None:
    store = reference()
    if store is not None:
        store._tick()  # noqa: SLF001 - the store's own timer
