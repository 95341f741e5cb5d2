"""Which addresses of the web are fetched, before anything is connected to."""

from __future__ import annotations

import pytest

from pyllama.errors import InvalidMedia
from pyllama.media.addresses import Address, is_public


@pytest.mark.parametrize("ip", ["8.8.8.8", "100.63.0.1", "172.32.0.1", "2606:4700::1111"])
def test_hosts_of_the_internet_are_public(ip: str) -> None:
    """Also those beside a private range."""
    assert is_public(ip)


@pytest.mark.parametrize(
    "ip",
    [
        "0.0.0.0",  # noqa: S104 - nothing listens here
        *("0.1.2.3", "10.1.2.3", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.9.9.9"),
        *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.0.0.8"),
        *("198.18.0.1", "203.0.113.7", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
        *("168.63.129.16", "::", "::1", "::127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8"),
        *("64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:1::1", "2001:db8::1"),
        *("fe80::1", "fec0::1", "fc00::1", "fd12::1", "ff02::1", "100::1", "5f00::1", "eth0"),
    ],
)
def test_hosts_of_a_network_are_not(ip: str) -> None:
    """Private, shared, of this machine, of a group, reserved, or with one of IPv4 inside."""
    assert not is_public(ip)


@pytest.mark.parametrize(
    ("url", "host", "port", "target", "header"),
    [
        ("http://Example.COM", "example.com", 80, "/", "example.com"),
        ("HTTPS://example.com/a?b=c#d", "example.com", 443, "/a?b=c", "example.com"),
        ("http://example.com.:443/", "example.com.", 443, "/", "example.com.:443"),
        ("http://127.0.0.1./", "127.0.0.1", 80, "/", "127.0.0.1"),
        ("https://[2606:4700:0::1]:444/", "2606:4700::1", 444, "/", "[2606:4700::1]:444"),
        ("http://xn--bcher-kva.example/%C3%BC", *("xn--bcher-kva.example", 80), "/%C3%BC", None),
    ],
)
def test_an_address_is_taken_apart(
    url: str, host: str, port: int, target: str, header: str | None
) -> None:
    """Its host in one form, the port of its scheme, what is asked for, and who is asked."""
    address = Address(url)
    assert (address.host, address.port, address.target) == (host, port, target)
    assert address.header == (header or host)
    assert not address.server_name.endswith(".")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("file:///etc/passwd", "only addresses of http: and https:"),
        ("ftp://example.com/a", "only addresses of http: and https:"),
        ("//example.com/a", "only addresses of http: and https:"),
        ("http://user@example.com/", "holds a user or a password"),
        ("http://user:word@example.com/", "holds a user or a password"),
        ("http://@example.com/", "holds a user or a password"),
        ("http://b\u00fccher.example/", "not of plain ASCII"),
        ("http://example.com/\r\nHost: x", "not of plain ASCII"),
        ("http://example.com\\@127.0.0.1/", "not of plain ASCII"),
        ("http://example.com/a b", "not of plain ASCII"),
        ("http://example.com:99999/", "malformed"),
        ("http://example.com:x/", "malformed"),
        ("http://[::1/", "malformed"),
        ("http://[fe80::1%25eth0]/", "malformed host"),
        ("http:///a", "malformed host"),
        ("http://a..b/", "malformed host"),
        ("http://exa%6dple.com/", "malformed host"),
        ("http://2130706433/", "malformed host"),
        ("http://0177.0.0.1/", "malformed host"),
        ("http://0x7f000001/", "malformed host"),
        ("http://127.1/", "malformed host"),
        ("http://example.0x7f/", "malformed host"),
        (f"http://{'a.' * 130}com/", "malformed host"),
        (f"http://{'a.' * 4_100}com/", "more than 8,192 characters"),
    ],
)
def test_what_could_mean_something_else_is_refused(url: str, reason: str) -> None:
    """Other schemes, credentials, and every way to write a host but the plain one."""
    with pytest.raises(InvalidMedia, match=reason):
        Address(url)
