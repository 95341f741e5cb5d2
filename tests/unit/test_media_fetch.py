"""Media fetched from servers on this machine, which a test allows and no client can."""

from __future__ import annotations

import gzip
import itertools
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest

from pyllama.errors import InvalidMedia, Unsupported
from pyllama.media.fetch import Fetcher
from tests.support import media_files
from tests.support.fake_projector import FakeProjector, reader
from tests.support.web_server import WebServer, redirect, response


@pytest.fixture
def web() -> Iterator[WebServer]:
    """A server on this machine."""
    with WebServer() as server:
        yield server


def fetcher(web: WebServer, **changes: Any) -> Fetcher:
    """Return a fetcher that may reach the server, which has every name."""
    options: dict[str, Any] = {
        "ports": (web.port,),
        "is_allowed": lambda ip: ip == "127.0.0.1",
        "look_up": lambda host, port: ["127.0.0.1"],
        "time_s": 10.0,
    }
    return Fetcher(**{**options, **changes})


def fetch(web: WebServer, path: str = "/", **changes: Any) -> bytes:
    return fetcher(web, **changes).begin().fetch(web.url(path))


def test_a_file_is_fetched(web: WebServer) -> None:
    """The server is asked by name, for the file as it is, and for nothing more afterwards."""
    web.answers["/cat.png?size=1"] = response(b"a cat")
    assert fetch(web, "/cat.png?size=1") == b"a cat"
    lines = web.requests[0].split(b"\r\n")
    assert lines[0] == b"GET /cat.png?size=1 HTTP/1.1"
    assert f"Host: pictures.test:{web.port}".encode() in lines
    assert {b"Accept-Encoding: identity", b"Connection: close"} < set(lines)
    assert not any(line.startswith((b"Cookie", b"Authorization")) for line in lines)


def test_the_environment_has_no_say(web: WebServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the machine's is not asked."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    web.answers["/"] = response(b"a cat")
    assert fetch(web) == b"a cat"


def test_pieces_are_put_together(web: WebServer) -> None:
    """An answer in chunks, and one that ends with the connection."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    web.answers["/chunks"] = [head, b"2\r\na \r\n", b"3\r\ncat\r\n0\r\n\r\n"]
    web.answers["/end"] = [b"HTTP/1.0 200 OK\r\n\r\na ", b"cat"]
    assert fetch(web, "/chunks") == fetch(web, "/end") == b"a cat"


def test_redirects_are_followed(web: WebServer) -> None:
    """A few of them, relative ones too."""
    web.answers["/a"] = redirect("/b")
    web.answers["/b"] = redirect(web.url("/c", "others.test"))
    web.answers["/c"] = response(b"a cat")
    assert fetch(web, "/a") == b"a cat"
    assert b"Host: others.test" in web.requests[2]


def test_redirects_end(web: WebServer) -> None:
    """One that leads to itself is followed three times."""
    web.answers["/a"] = redirect("/a")
    with pytest.raises(InvalidMedia, match="leads on more than 3 times"):
        fetch(web, "/a")
    assert len(web.requests) == 4


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("http://inside.test/", "not on the public internet"),
        ("http://10.0.0.1/", "not on the public internet"),
        ("http://[::1]/", "not on the public internet"),
        ("https://pictures.test:22/", "has port 22"),
        ("file:///etc/passwd", "only addresses of http: and https:"),
        ("http://user:word@pictures.test/", "holds a user"),
        ("http://0x7f.1/", "malformed host"),
        ("http://pictures.test/\xfc", "not of plain ASCII"),
    ],
)
def test_redirects_are_checked_like_the_first_address(
    web: WebServer, location: str, reason: str
) -> None:
    """What a client may not name, a server may not lead to."""
    web.answers["/"] = redirect(location)
    names = {"pictures.test": ["127.0.0.1"], "inside.test": ["10.0.0.1"]}
    ports = (80, 443, web.port)
    with pytest.raises(InvalidMedia, match=reason):
        fetch(web, ports=ports, look_up=lambda host, port: names.get(host, [host]))


def test_this_machine_is_not_reached(web: WebServer) -> None:
    """Without a test's permission, by no name or number of it; nothing is connected to."""
    for host in ("127.0.0.1", "localhost", "localhost.", "[::1]", "0.0.0.0.", "[::ffff:127.0.0.1]"):
        downloads = Fetcher(ports=(web.port,)).begin()
        with pytest.raises(InvalidMedia, match=r"not on the public internet|not known"):
            downloads.fetch(web.url(host=host))
    assert not web.requests


@pytest.mark.parametrize("answer", [["127.0.0.1", "10.0.0.1"], ["::1", "127.0.0.1"], []])
def test_every_address_of_a_name_counts(web: WebServer, answer: list[str]) -> None:
    """One that is not allowed spoils the others."""
    with pytest.raises(InvalidMedia, match="not on the public internet"):
        fetch(web, look_up=lambda host, port: answer)
    assert not web.requests


def test_a_name_is_looked_up_once(web: WebServer) -> None:
    """A name server that changes its mind after the check is not asked again."""
    web.answers["/"] = response(b"a cat")
    answers = itertools.chain([["127.0.0.1"]], itertools.repeat(["10.0.0.1"]))
    assert fetch(web, look_up=lambda host, port: next(answers)) == b"a cat"
    assert next(answers) == ["10.0.0.1"]


@pytest.mark.parametrize("status", ["404 Not Found", "204 No Content", "500 No", "304 Same"])
def test_other_answers_are_told(web: WebServer, status: str) -> None:
    """Their status, and nothing of their text."""
    web.answers["/"] = response(b"secret" if status[0] in "45" else b"", status)
    with pytest.raises(InvalidMedia, match=f"answered with status {status[:3]}$"):
        fetch(web)


def test_a_redirect_to_nowhere_is_an_answer_like_others(web: WebServer) -> None:
    """It has a status."""
    web.answers["/"] = response(b"", "302 Found")
    with pytest.raises(InvalidMedia, match="answered with status 302"):
        fetch(web)


def endless(connection: socket.socket) -> None:
    """Send without end and without a length."""
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(bytes(10_000))


@pytest.mark.parametrize("answer", [response(bytes(2000)), endless])
def test_a_file_that_is_too_large_is_not_read_to_its_end(web: WebServer, answer: Any) -> None:
    """By the length that it is said to have, or as soon as it has it."""
    web.answers["/"] = answer
    with pytest.raises(InvalidMedia, match="may have 1,000 bytes in all"):
        fetch(web, max_bytes=1000)


def test_the_files_of_a_request_share_its_bytes(web: WebServer) -> None:
    """Each of them alone would do."""
    web.answers["/"] = response(bytes(600))
    downloads = fetcher(web, max_bytes=1000).begin()
    downloads.fetch(web.url())
    with pytest.raises(InvalidMedia, match="may have 1,000 bytes in all"):
        downloads.fetch(web.url())


def test_what_is_packed_is_not_unpacked(web: WebServer) -> None:
    """A million zeros are a thousand bytes, and refused."""
    packed = gzip.compress(bytes(1_000_000))
    web.answers["/"] = response(packed, Content_Encoding="gzip")
    with pytest.raises(InvalidMedia, match="sends it compressed"):
        fetch(web)


def dripping(*pieces: bytes) -> Any:
    """Return an answer that never pauses for long, and never ends."""

    def answer(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        dripping(b"HTTP/1.1 200 OK\r\n\r\n"),
        dripping(b"HTTP/1.1 200 OK\r\nX: "),
        lambda connection: connection.recv(1),
    ],
    ids=["body", "head", "silence"],
)
def test_the_whole_takes_a_bounded_time(web: WebServer, answer: Any) -> None:
    """However often a byte arrives."""
    web.answers["/"] = answer
    with pytest.raises(InvalidMedia, match="takes too long"):
        fetch(web, time_s=0.3)


def test_a_look_up_takes_a_bounded_time(web: WebServer) -> None:
    """A name server that does not answer is given up."""

    def look_up(_host: str, _port: int) -> list[str]:
        time.sleep(1)
        return ["127.0.0.1"]

    with pytest.raises(InvalidMedia, match="takes too long"):
        fetch(web, time_s=0.1, look_up=look_up)
    assert not web.requests


def test_the_files_of_a_request_share_its_time(web: WebServer) -> None:
    """After the first has used it up, nothing is connected to."""
    web.answers["/"] = dripping(b"HTTP/1.1 200 OK\r\n\r\n")
    downloads = fetcher(web, time_s=0.2).begin()
    for _ in range(2):
        with pytest.raises(InvalidMedia, match="takes too long"):
            downloads.fetch(web.url())
    assert len(web.requests) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na cat"], "before the end of the file"),
        ([b"SSH-2.0-x\r\n"], "does not speak HTTP"),
        ([b""], "does not speak HTTP|cannot be reached"),
        ([b"HTTP/1.1 200 OK\r\nX: " + bytes(70_000)], "does not speak HTTP"),
        ([b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"], "does not speak HTTP"),
        (
            [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
            "does not speak HTTP",
        ),
    ],
)
def test_broken_answers_are_refused(web: WebServer, answer: list[bytes], reason: str) -> None:
    """None of them is taken for a file."""
    web.answers["/"] = answer
    with pytest.raises(InvalidMedia, match=reason):
        fetch(web)


def test_a_host_that_is_not_there_is_told() -> None:
    """Without what the system says of it."""
    with WebServer() as gone:
        pass
    with pytest.raises(InvalidMedia, match=r"^the address cannot be reached$"):
        fetch(gone)


def test_a_name_that_nobody_knows_is_told(web: WebServer) -> None:
    """It is another reason than a server that does not answer."""

    def look_up(_host: str, _port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    with pytest.raises(InvalidMedia, match="host that is not known"):
        fetch(web, look_up=look_up)


def test_a_connection_that_tls_does_not_trust_is_refused(web: WebServer) -> None:
    """The server is asked for by its name, and must prove that it has it."""
    tls = Fetcher().tls
    assert (tls.verify_mode, tls.check_hostname) == (ssl.CERT_REQUIRED, True)
    web.answers["tls"] = response(b"a cat")
    with pytest.raises(InvalidMedia, match="no connection that TLS can trust"):
        fetcher(web).begin().fetch(f"https://pictures.test.:{web.port}/")
    assert b"pictures.test\x00" in web.requests[0]


def test_a_part_may_name_its_file(web: WebServer) -> None:
    """What is fetched is read like what is sent."""
    data = media_files.picture(width=7)
    web.answers["/"] = response(data)
    found = reader(FakeProjector(), fetcher=fetcher(web))
    part = {"type": "image_url", "image_url": {"url": web.url()}}
    (fetched,) = found.read(part, "part", fetcher(web).begin())
    (sent,) = found.read(media_files.image_part(data), "part")
    assert fetched == sent


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"<html>", "the format is unknown"), (b"", "is empty"), (None, "status 404")],
)
def test_a_part_that_names_no_media_is_refused(
    web: WebServer, body: bytes | None, reason: str
) -> None:
    """By its path."""
    web.answers["/"] = response(body or b"", "404 None" if body is None else "200 OK")
    part = {"type": "image_url", "image_url": {"url": web.url()}}
    with pytest.raises(InvalidMedia, match=reason) as caught:
        reader(FakeProjector(), fetcher=fetcher(web)).begin().add(part, "part")
    assert caught.value.param == "part.image_url.url"
    assert caught.value.message.startswith("part.image_url.url")


def test_nothing_is_fetched_for_a_model_that_does_not_take_it(web: WebServer) -> None:
    """It is refused first."""
    part = {"type": "image_url", "image_url": {"url": web.url()}}
    with pytest.raises(Unsupported, match="takes text only"):
        reader(None, fetcher=fetcher(web)).begin().add(part, "part")
    assert not web.requests
