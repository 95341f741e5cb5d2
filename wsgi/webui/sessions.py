"""``/api/sessions``: names that pages have for themselves.

Nothing hangs on one: the engine knows a prompt again by its tokens, whoever sends it.
"""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections import OrderedDict
from typing import TYPE_CHECKING

from pyllama.errors import InvalidRequest

from .errors import UnknownSession

if TYPE_CHECKING:
    import falcon

DEFAULT = "__default__"
"""The session of who names none; it is always there."""

MAX_SESSIONS = 4096
"""Most that are kept; the one that was used longest ago goes first."""


class SessionStore:
    """The sessions that are there; any thread may use it.

    Args:
        max_sessions: how many are kept.
    """

    def __init__(self, max_sessions: int = MAX_SESSIONS) -> None:
        self._max_sessions = max_sessions
        self._lock = threading.Lock()
        self._ids: OrderedDict[str, None] = OrderedDict()

    def create(self) -> str:
        """Return the id of a new session."""
        session_id = uuid.uuid4().hex
        with self._lock:
            self._ids[session_id] = None
            while len(self._ids) > self._max_sessions:
                self._ids.popitem(last=False)
        return session_id

    def check(self, session_id: str) -> None:
        """Note that a session is used. Raises UnknownSession."""
        with self._lock:
            if session_id in self._ids:
                self._ids.move_to_end(session_id)
            elif session_id != DEFAULT:
                raise UnknownSession(
                    f"Session {session_id[:80]!r} not found or has been disposed.",
                    param="sessionId",
                )

    def delete(self, session_id: str) -> None:
        """Forget a session. Raises UnknownSession, and InvalidRequest for the default one."""
        if session_id == DEFAULT:
            raise InvalidRequest("Cannot dispose the default session.")
        with self._lock:
            if session_id not in self._ids:
                raise UnknownSession(f"Session {session_id[:80]!r} not found.")
            del self._ids[session_id]


class Sessions:
    """Makes and deletes sessions."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    def on_post(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Make a session; there is no body."""
        now = dt.datetime.now(dt.timezone.utc).isoformat().replace("+00:00", "Z")
        resp.media = {"sessionId": self._store.create(), "createdAt": now}

    def on_delete_one(self, _req: falcon.Request, resp: falcon.Response, session_id: str) -> None:
        """Forget a session."""
        self._store.delete(session_id)
        resp.media = {"ok": True, "sessionId": session_id}
