"""The routes of the chat page."""

from __future__ import annotations

import falcon

from ..operations import Operation, Route
from .files import load_files
from .page import Page, PageFile

_TAG = "web UI"


def page_routes() -> tuple[Route, ...]:
    """Return the page at ``/``, the same for whatever a client accepts, and the page's files."""
    files = load_files()
    page = Page(files)
    root = Operation(
        summary="The chat page for browsers, a line that says what answers here for others",
        media_type=falcon.MEDIA_TEXT,
    )
    shown = Operation(summary="The chat page", media_type=falcon.MEDIA_HTML)
    part = Operation(
        summary="A file of the chat page, under its version", media_type="*/*", errors=(404,)
    )
    return (
        Route(paths=("/",), tag=_TAG, resource=page, operations={"GET": root}),
        Route(
            paths=("/index.html",),
            tag=_TAG,
            resource=page,
            suffix="always",
            operations={"GET": shown},
        ),
        Route(
            paths=("/ui/{version}/{name}",),
            tag=_TAG,
            resource=PageFile(files),
            operations={"GET": part},
        ),
    )
