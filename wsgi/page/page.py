"""``GET /``: the chat page for browsers, a line of text for everything else; and its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import falcon

if TYPE_CHECKING:
    from .files import File, Files

_TEXT = "pyllama is running\n"
# Nothing from elsewhere, nothing inline: whatever a model writes, no browser runs it. Only one
# place of the scripts may make elements of text, and only of text that the server rendered.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types pyllama-rendered"
)
_FOR_GOOD = "public, max-age=31536000, immutable"


class Page:
    """Serves the page, also while the model loads."""

    def __init__(self, files: Files) -> None:
        self._index = files.index

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the page if the client names HTML among what it accepts."""
        resp.append_header("Vary", "Accept")
        if "text/html" not in req.accept:
            resp.content_type = falcon.MEDIA_TEXT
            resp.text = _TEXT
            return
        self.on_get_always(req, resp)

    def on_get_always(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the page."""
        resp.set_header("Content-Security-Policy", _POLICY)
        resp.set_header("Referrer-Policy", "no-referrer")
        resp.set_header("Cross-Origin-Opener-Policy", "same-origin")
        # Asked for each time, so that a new version is seen at once; the tag makes that cheap.
        _send(req, resp, self._index, "no-cache")

    on_head = on_get
    on_head_always = on_get_always


class PageFile:
    """Serves a file of the page by its name, under the version that it belongs to."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def on_get(self, req: falcon.Request, resp: falcon.Response, version: str, name: str) -> None:
        """Answer with the file, to be kept for good."""
        file = self._files.parts.get(name)
        if file is None or version != self._files.version:
            raise falcon.HTTPNotFound
        _send(req, resp, file, _FOR_GOOD)

    on_head = on_get


def _send(req: falcon.Request, resp: falcon.Response, file: File, cache: str) -> None:
    resp.content_type = file.media_type
    resp.etag = file.etag
    resp.set_header("Cache-Control", cache)
    resp.set_header("X-Content-Type-Options", "nosniff")
    resp.append_header("Vary", "Accept-Encoding")
    if {"*", file.etag}.intersection(req.if_none_match or ()):
        resp.status = falcon.HTTP_NOT_MODIFIED
    elif _takes_gzip(req):
        resp.set_header("Content-Encoding", "gzip")
        resp.data = file.packed
    else:
        resp.data = file.data


def _takes_gzip(req: falcon.Request) -> bool:
    for part in (req.get_header("Accept-Encoding") or "").split(","):
        name, *parameters = part.replace(" ", "").lower().split(";")
        if name == "gzip":
            return not any(parameter.rstrip("0.") == "q=" for parameter in parameters)
    return False
