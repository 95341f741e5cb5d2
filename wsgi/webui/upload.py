"""``POST /api/upload``: one file of a form, written to disk as it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import falcon
from falcon.media.multipart import MultipartFormHandler

from pyllama.errors import InvalidRequest

from ..disk import is_no_room
from .file_kinds import check_name, kind_of
from .text_files import cut_text
from .uploads import FORM_BYTES, too_large

if TYPE_CHECKING:
    from collections.abc import Iterator

    from falcon.media.multipart import BodyPart, MultipartForm
    from falcon.typing import ReadableIO

    from pyllama import Llama

    from ..host import Host
    from .uploads import Upload, UploadStore

_CHUNK_BYTES = 64 * 1024


class UploadEndpoint:
    """Takes files.

    Args:
        host: holds the model, which counts the tokens of texts.
        store: keeps the files.
    """

    def __init__(self, host: Host, store: UploadStore) -> None:
        self._host = host
        self._store = store
        self._forms = MultipartFormHandler()

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Keep the file of a form; answer with its handle, and with the text of a text."""
        llm = self._host.get()
        upload, name = self._receive(self._form(req))
        resp.media = {
            "ok": True,
            "path": upload.id,
            "mediaType": upload.kind,
            "fileName": name,
            "size": upload.n_bytes,
            **(_text(upload, llm) if upload.kind == "text" else {}),
        }

    def _form(self, req: falcon.Request) -> MultipartForm:
        if not (req.content_type or "").lower().startswith("multipart/form-data"):
            raise InvalidRequest("Expected multipart form data")
        limit = self._store.max_file_bytes + FORM_BYTES
        length = req.content_length
        if length is None and not req.env.get("wsgi.input_terminated"):
            raise InvalidRequest("Expected multipart form data; the request has no body")
        if length is not None and length > limit:
            raise too_large(self._store.max_file_bytes)
        stream: Any = _Body(req.stream)
        # Of a body of unknown length, one byte more than may be shows that it is too long.
        n_bytes = limit + 1 if length is None else length
        form: MultipartForm = self._forms.deserialize(stream, req.content_type, n_bytes)
        return form

    def _receive(self, form: MultipartForm) -> tuple[Upload, str]:
        """Read the form to its end: a file is whole if what follows it is there."""
        found: tuple[Upload, str] | None = None
        try:
            for part in form:
                name = _name(part)
                if name is not None:
                    _check(name, is_first=found is None)
                    found = self._add(part, name), name
        except BaseException:
            if found is not None:
                self._store.discard(found[0])
            raise
        if found is None:
            raise InvalidRequest("No file uploaded", param="file")
        return found

    def _add(self, part: BodyPart, name: str) -> Upload:
        return self._store.add(_chunks(part), lambda file: kind_of(file, name))


class _Body:
    """A request's body whose faults are the client's."""

    def __init__(self, stream: ReadableIO) -> None:
        self._stream = stream

    def read(self, size: int) -> bytes:
        """Return some bytes, none at the end."""
        try:
            return self._stream.read(size)
        except Exception as exc:  # each server has its own for a body that it cannot parse
            if is_no_room(exc):
                raise
            raise InvalidRequest("the request body could not be read") from exc


def _chunks(part: BodyPart) -> Iterator[bytes]:
    while chunk := part.stream.read(_CHUNK_BYTES):
        yield chunk


def _name(part: BodyPart) -> str | None:
    try:
        return part.filename
    except UnicodeDecodeError:
        raise InvalidRequest("the name of the file must be UTF-8", param="file") from None


def _check(name: str, *, is_first: bool) -> None:
    if not is_first:
        raise InvalidRequest("send one file in a request", param="file")
    check_name(name)


def _text(upload: Upload, llm: Llama) -> dict[str, Any]:
    cut = cut_text(upload.file, llm)
    return {
        "textContent": cut.text,
        "truncated": cut.is_cut,
        "truncateLimit": cut.n_max_tokens,
        "truncateUnit": "tokens",
        "modelContextLimit": llm.n_ctx,
        "originalTokenCount": cut.n_original_tokens,
        "returnedTokenCount": cut.n_tokens,
    }
