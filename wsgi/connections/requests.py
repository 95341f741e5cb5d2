"""A request of a connection, from its first byte until it is whole."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

from ..gunicorn_seam import (
    InvalidHeader,
    LimitRequestHeaders,
    RequestParser,
    has_failed,
    take_expectation,
)
from .framing import body_of
from .inbox import PIECE_BYTES, Inbox, NeedsMore

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..gunicorn_seam import Config
    from .framing import Body

_READ_BYTES = 64 * 1024
_LARGE_READ_BYTES = 256 * 1024
_FIRST_TRY_BYTES = 8 * 1024
_END = b"\r\n\r\n"
# gunicorn refuses it, wherever in a head it stands, rather than wait for more.
_BARE_LF = re.compile(rb"(?<!\r)\n")


class Parser(RequestParser):
    """gunicorn's parser, run as soon as a head is there; its worker finds the outcome.

    Args:
        cfg: gunicorn's.
        inbox: what it reads from.
        address: the client's.
    """

    def __init__(self, cfg: Config, inbox: Inbox, address: Any) -> None:
        super().__init__(cfg, (), address)
        self.unreader = inbox
        self._parsed: Any = None

    def parse(self) -> Any:
        """Return the next request. Raises NeedsMore, or what gunicorn has against it."""
        try:
            parsed = super().__next__()
        except NeedsMore:
            # The first request of a connection may be preceded by a proxy's line.
            self.req_count -= 1
            raise
        _check_prefix(parsed)
        self._parsed = parsed
        return parsed

    def __next__(self) -> Any:
        """Return what :meth:`parse` returned; called by gunicorn's worker, once a request."""
        if self._parsed is None:
            raise StopIteration
        parsed, self._parsed = self._parsed, None
        return parsed

    def finish_body(self, *_args: Any, **_options: Any) -> Any:
        """Skip what the application did not read; all of it is here, so nothing waits.

        Returns:
            Whether a request can follow: where a body that cannot be read ends, nobody knows.
        """
        if self.mesg is None:
            return True
        request: Any = self.mesg
        with contextlib.suppress(Exception):
            while not has_failed(request) and request.body.read(PIECE_BYTES):
                pass
        return not has_failed(request)


class RequestReader:
    """Takes bytes until they are a request.

    Args:
        cfg: gunicorn's.
        address: the client's, as a socket names it.
        head_bytes: longest head.
        body_limit: returns the longest body of a path.
    """

    def __init__(
        self, cfg: Config, address: Any, head_bytes: int, body_limit: Callable[[str], int]
    ) -> None:
        self.inbox = Inbox()
        self.parser = Parser(cfg, self.inbox, address)
        self.request: Any = None
        self.expects_100 = False
        self._head_bytes = head_bytes
        self._body_limit = body_limit
        self._body: Body | None = None
        self._begin()

    @property
    def has_begun(self) -> bool:
        """Whether anything of a request came."""
        return self.request is not None or bool(self._head)

    @property
    def n_body_bytes(self) -> int:
        """What came of the body."""
        return self._body.n_bytes if self._body is not None else 0

    @property
    def n_wanted(self) -> int:
        """How much to read at once."""
        n_left = self._body.n_left if self._body is not None else 0
        return _LARGE_READ_BYTES if n_left > _READ_BYTES else _READ_BYTES

    def feed(self, data: bytes) -> bool:
        """Take what came; return whether the request can be answered now.

        That is also so where it is too long: the application is told so by its head.

        Raises:
            Exception: one of gunicorn's, that :meth:`gunicorn.workers.base.Worker.handle_error`
                knows.
        """
        if self._body is not None:
            self.inbox.put(data)
            self._body.take(data)
        else:
            self._head += data
            if not self._parse():
                if len(self._head) > self._head_bytes:
                    raise LimitRequestHeaders(f"the head has more than {self._head_bytes} bytes")
                return False
        return self._is_answerable()

    def cut(self) -> None:
        """Take note that the rest will not come, or is not wanted."""
        if self.request is not None:
            self.request.force_close()

    def next(self) -> bytes:
        """Forget the request; return what came of the one behind it."""
        rest = self.inbox.rest()
        self._begin()
        return rest

    def _begin(self) -> None:
        self.request, self._body = None, None
        self.expects_100 = False
        self._head = bytearray()
        self._n_searched = 0
        self._try_bytes = _FIRST_TRY_BYTES

    def _parse(self) -> bool:
        if not self._is_worth_a_try():
            return False
        self.inbox.begin(bytes(self._head))
        try:
            self.request = self.parser.parse()
        except NeedsMore:
            self.inbox.begin()
            return False
        self._head = bytearray()
        self._body = body_of(self.request)
        self._body.take(self.inbox.buf.getvalue())
        # By the time that gunicorn would tell it to go on, the body is here.
        self.expects_100 = take_expectation(self.request)
        return True

    def _is_worth_a_try(self) -> bool:
        """Return whether the parser may find a head, or something wrong with it.

        Each byte is looked at a bounded number of times, however they are dealt out.
        """
        head, start = self._head, max(self._n_searched - len(_END) + 1, 0)
        self._n_searched = len(head)
        if head.find(_END, start) >= 0 or _BARE_LF.search(head, start):
            return True
        if len(head) < self._try_bytes:
            return False
        self._try_bytes = 2 * len(head)
        return True

    def _is_answerable(self) -> bool:
        assert self._body is not None  # noqa: S101 - for the type checker
        if self._body.is_longer(self._body_limit(self.request.path)):
            self.cut()
            return True
        return self._body.is_whole


def _check_prefix(request: Any) -> None:
    """Refuse a prefix that the path does not have: gunicorn would call it a fault of its own."""
    for name, value in request.headers:
        if name == "SCRIPT_NAME" and not request.path.startswith(value):
            raise InvalidHeader(name)
