"""A server on this machine that answers each path with the bytes that a test wants, as they are."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator

Answer = Callable[[socket.socket], None] | Iterable[bytes]


def response(body: bytes, status: str = "200 OK", **headers: str) -> list[bytes]:
    """Return an answer with its length; a header's name is written with hyphens."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ["\r\n".join([*lines, "", ""]).encode("latin-1"), body]


def redirect(location: str) -> list[bytes]:
    """Return an answer that leads elsewhere."""
    return response(b"", "302 Found", Location=location)


class WebServer:
    """Listens on a free port of 127.0.0.1 until the block ends, for one client at a time."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def url(self, path: str = "/", host: str = "pictures.test") -> str:
        """Return the address of a path, under a name that a test's resolver knows."""
        return f"http://{host}:{self.port}{path}"

    def __enter__(self) -> WebServer:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End; whoever is still connected is cut off."""
        # A blocked accept() does not notice close().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        for connection in self._accepted():
            # The client may be gone: that is what some tests are about.
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5)
                request = connection.recv(65536)
                self.requests.append(request)
                words = request.split(b" ", 2)
                path = words[1].decode("ascii") if words[0] == b"GET" else "tls"
                answer = self.answers[path]
                if callable(answer):
                    answer(connection)
                else:
                    for piece in answer:
                        connection.sendall(piece)

    def _accepted(self) -> Iterator[socket.socket]:
        with contextlib.suppress(OSError):
            while True:
                yield self._listener.accept()[0]
