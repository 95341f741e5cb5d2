"""``POST /api/render``: Markdown to HTML for the page; and the colours of its code."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

import falcon

from ..body import read_object
from ..fields import FieldReader
from ..validation import Schema
from .highlight import stylesheet
from .markdown import render

if TYPE_CHECKING:
    from collections.abc import Callable

RENDER_FIELDS = FieldReader(Schema(__package__, "render.json"), ())

MAX_BODY_BYTES = 4 * 1024 * 1024
TIME_S = 2.0
"""Seconds for all texts of a request; what is not rendered by then is shown as it was written."""


class Render:
    """Renders texts; the model is not needed."""

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the HTML of each text."""
        fields = RENDER_FIELDS.read(read_object(req, limit=MAX_BODY_BYTES))
        deadline_s = time.monotonic() + TIME_S
        resp.media = {"html": [render(text, deadline_s) for text in fields["texts"]]}


class RenderStyle:
    """``GET /api/render/style.css``: the colours of code, light and dark."""

    def __init__(self) -> None:
        self._css: Callable[[], str] = functools.cache(stylesheet)

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with CSS, which changes with the server's version only."""
        resp.content_type = "text/css; charset=utf-8"
        resp.cache_control = ["max-age=3600"]
        resp.text = self._css()

    on_head = on_get
