"""What concerns every request: its id, its log line, and the worker that it runs in."""

from __future__ import annotations

import logging
import re
import uuid
from typing import TYPE_CHECKING

from pyllama.interruption import Interruptible

from .client import ClientWatch
from .request_log import RequestRecord

if TYPE_CHECKING:
    import falcon

_log = logging.getLogger("pyllama.wsgi")

_SANE_ID = re.compile(r"[!-~]{1,128}")


class RequestId:
    """Takes the client's ``X-Request-Id`` if it is sane, else makes one; every answer has it."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Set ``req.context.record`` and the header."""
        given = req.get_header("X-Request-Id") or ""
        request_id = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
        req.context.record = RequestRecord(request_id, req.method)
        resp.set_header("X-Request-Id", request_id)


class RequestLog:
    """Writes the log line of every answer that is not a stream; a stream writes its own."""

    def process_resource(
        self, req: falcon.Request, _resp: falcon.Response, _resource: object, _params: object
    ) -> None:
        """Note the route: its template, for a path is the client's text, line breaks included."""
        req.context.record.route = req.uri_template

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, _resource: object, _succeeded: object
    ) -> None:
        """Write the line, or leave it to the stream, which has yet to begin."""
        if resp.stream is None:
            req.context.record.write(resp.status_code)


class Interruption:
    """Lets the work on a request end where its client leaves, or where it takes too long.

    It counts until the engine has the request, which has limits of its own.

    Args:
        limit_s: seconds from the arrival of the body on.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Set ``req.context.interruptible``."""
        watch = ClientWatch(req.env)
        req.context.interruptible = Interruptible(watch.look, limit_s=self._limit_s)
        req.context.interruptible.begin()

    def process_response(
        self, req: falcon.Request, _resp: falcon.Response, _resource: object, _succeeded: object
    ) -> None:
        """End it: the thread will serve others."""
        req.context.interruptible.end()


class WorkerCheck:
    """Warns once if the server runs one request at a time: the engine's batches stay empty."""

    def __init__(self) -> None:
        self._is_checked = False

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Look at the first request only."""
        if self._is_checked:
            return
        self._is_checked = True
        if not req.env.get("wsgi.multithread"):
            _log.warning(
                "this worker answers one request at a time, and may be killed during a long "
                "answer; run `gunicorn -c python:wsgi.gunicorn_conf wsgi:app`"
            )
