"""Files of the web, fetched for clients without letting them reach what only this machine can.

A name is looked up once, every address that it has is checked, and the connection goes to one of
those. Proxies, cookies and credentials of this machine's play no part.
"""

from __future__ import annotations

import errno
import http.client
import io
import os
import queue
import selectors
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import urljoin

from pyllama.errors import InvalidMedia, PyllamaError
from pyllama.interruption import checkpoint
from pyllama.media.addresses import Address, is_public

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_Result = TypeVar("_Result")

_PIECE = 1 << 16
_CONNECTING = (errno.EINPROGRESS, errno.EWOULDBLOCK)
# A wait that is longer is cut into these, to see whether there is anybody left to wait for.
_SLICE_S = 0.1
_MAX_REDIRECTS = 3
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def _look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a host. Raises OSError or UnicodeError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Fetcher:
    """Fetches files; any thread may use it.

    Args:
        time_s: seconds that the addresses of one request may take together.
        max_bytes: bytes that they may have together.
        ports: ports that are connected to.
        is_allowed: whether to connect to an address of IPv4 or IPv6.
        look_up: returns the addresses of a host.
        tls: how certificates are verified; None takes the system's authorities.
    """

    def __init__(
        self,
        *,
        time_s: float = 20.0,
        max_bytes: int = 64 << 20,
        ports: Collection[int] = (80, 443),
        is_allowed: Callable[[str], bool] = is_public,
        look_up: Callable[[str, int], list[str]] = _look_up,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.time_s = time_s
        self.max_bytes = max_bytes
        self.ports = ports
        self.is_allowed = is_allowed
        self.look_up = look_up
        self.tls = tls or ssl.create_default_context()

    def begin(self) -> Downloads:
        """Return what fetches the files of one request."""
        return Downloads(self)


class Downloads:
    """The files of one request: they share its time and its bytes. Of one thread."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._time_s = fetcher.time_s
        self._n_bytes = fetcher.max_bytes

    def fetch(self, url: str) -> bytes:
        """Return the file at an address.

        Blocks until it is there, or the time is over.

        Raises:
            InvalidMedia: it is not fetched, or cannot be.
        """
        started_s = time.monotonic()
        clock = _Clock(started_s + self._time_s)
        try:
            data = self._followed(url, clock)
        except PyllamaError:
            raise
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise _failure(error) from error
        finally:
            self._time_s -= time.monotonic() - started_s
        self._n_bytes -= len(data)
        return data

    def _followed(self, url: str, clock: _Clock) -> bytes:
        for _ in range(_MAX_REDIRECTS + 1):
            address = Address(url)
            with self._connected(address, clock) as connection:
                response = _asked(connection, address, clock)
                with response:
                    location = response.getheader("Location")
                    if response.status not in _REDIRECTS or location is None:
                        return self._body(response)
            url = urljoin(address.url, location)
        raise InvalidMedia(f"the address leads on more than {_MAX_REDIRECTS} times")

    def _connected(self, address: Address, clock: _Clock) -> socket.socket:
        fetcher = self._fetcher
        if address.port not in fetcher.ports:
            wanted = " and ".join(map(str, sorted(fetcher.ports)))
            raise InvalidMedia(f"the address has port {address.port}; fetched are {wanted}")
        ips = self._looked_up(address, clock)
        # One bad address among good ones is what an attacker's name server would send.
        if not ips or not all(fetcher.is_allowed(ip) for ip in ips):
            raise InvalidMedia("the address leads to a host that is not on the public internet")
        plain = _first_connection(ips, address.port, clock)
        if not address.is_secure:
            return plain
        secure = fetcher.tls.wrap_socket(
            plain, server_hostname=address.server_name, do_handshake_on_connect=False
        )
        try:
            clock.patiently(secure, secure.do_handshake)
        except BaseException:
            secure.close()
            raise
        return secure

    def _looked_up(self, address: Address, clock: _Clock) -> list[str]:
        """Look a host up, in a thread: the system's resolver knows no time limit."""
        answers: queue.SimpleQueue[list[str] | OSError | UnicodeError] = queue.SimpleQueue()

        def look_up() -> None:
            try:
                answers.put(self._fetcher.look_up(address.host, address.port))
            except (OSError, UnicodeError) as error:
                answers.put(error)

        clock.slice_s()
        threading.Thread(target=look_up, name="pyllama-look-up", daemon=True).start()
        while True:
            try:
                answer = answers.get(timeout=clock.slice_s())
                break
            except queue.Empty:
                continue
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _body(self, response: http.client.HTTPResponse) -> bytes:
        if response.status != http.client.OK:
            raise InvalidMedia(f"its server answered with status {response.status}")
        # Identity was asked for; what is packed could unpack to anything.
        packing = response.getheader("Content-Encoding", "identity").strip().lower()
        if packing != "identity":
            raise InvalidMedia("its server sends it compressed, without being asked to")
        n_bytes = response.length
        if n_bytes is not None and n_bytes > self._n_bytes:
            raise self._too_large()
        data = bytearray()
        while piece := response.read(_PIECE):
            data += piece
            if len(data) > self._n_bytes:
                raise self._too_large()
        if n_bytes is not None and len(data) < n_bytes:
            raise InvalidMedia("its server ended the connection before the end of the file")
        return bytes(data)

    def _too_large(self) -> InvalidMedia:
        return InvalidMedia(
            f"what a request has fetched may have {self._fetcher.max_bytes:,} bytes in all"
        )


class _Clock:
    """The time that is left of a fetch, whatever it is doing."""

    def __init__(self, end_s: float) -> None:
        self._end_s = end_s

    def left_s(self) -> float:
        """Return the seconds that are left. Raises TimeoutError where there are none."""
        left_s = self._end_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s

    def slice_s(self) -> float:
        """Return how long to wait until the next look at the clock, and at who waits for us.

        Raises:
            TimeoutError: there is no time left.
            Exception: what a checkpoint raises.
        """
        checkpoint()
        return min(self.left_s(), _SLICE_S)

    def patiently(self, connection: socket.socket, call: Callable[[], _Result]) -> _Result:
        """Return what a call that may wait for a connection returns; raises as :meth:`slice_s`."""
        while True:
            connection.settimeout(self.slice_s())
            try:
                return call()
            except TimeoutError:  # only this slice is over
                continue


class _Timed(io.RawIOBase):
    """Reads a connection under one clock: many small reads take no longer than a large one."""

    def __init__(self, connection: socket.socket, clock: _Clock) -> None:
        self._connection = connection
        self._clock = clock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        return self._clock.patiently(self._connection, lambda: self._connection.recv_into(buffer))

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return what http.client asks a socket for."""
        return io.BufferedReader(self, _PIECE)


def _first_connection(ips: list[str], port: int, clock: _Clock) -> socket.socket:
    """Connect to the first address that answers. Raises OSError."""
    failure = OSError()
    for ip in dict.fromkeys(ips):
        try:
            return _connection(ip, port, clock)
        except OSError as error:  # noqa: PERF203 - the next address may answer
            failure = error
    raise failure


def _connection(ip: str, port: int, clock: _Clock) -> socket.socket:
    """Connect to an address, which needs no look-up: nothing else can be found in its place."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(0.0)
        code = connection.connect_ex((ip, port))
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_WRITE)
            while code in _CONNECTING:
                if selector.select(clock.slice_s()):
                    code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    except BaseException:
        connection.close()
        raise
    if code:
        connection.close()
        raise OSError(code, os.strerror(code))
    return connection


def _asked(connection: socket.socket, address: Address, clock: _Clock) -> http.client.HTTPResponse:
    """Send a request; return the response once its head is read."""
    lines = (
        f"GET {address.target} HTTP/1.1",
        f"Host: {address.header}",
        "User-Agent: pyllama",
        "Accept: image/*, audio/*, video/*, */*;q=0.5",
        "Accept-Encoding: identity",
        "Connection: close",
        "",
        "",
    )
    connection.settimeout(clock.left_s())
    connection.sendall("\r\n".join(lines).encode("ascii"))
    timed = cast("socket.socket", _Timed(connection, clock))
    response = http.client.HTTPResponse(timed, method="GET")
    response.begin()
    return response


def _failure(error: Exception) -> InvalidMedia:
    """Return what a client is told: why it failed, and nothing of the network around us."""
    if isinstance(error, TimeoutError):
        return InvalidMedia("what the request has fetched takes too long")
    if isinstance(error, ssl.SSLError):
        return InvalidMedia("the address has no connection that TLS can trust")
    if isinstance(error, socket.gaierror | UnicodeError):
        return InvalidMedia("the address names a host that is not known")
    if isinstance(error, http.client.HTTPException | ValueError):
        return InvalidMedia("its server does not speak HTTP as it should")
    return InvalidMedia("the address cannot be reached")
