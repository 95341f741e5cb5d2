"""Which hosts a client's address may lead to: those that anybody on the internet can reach."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from pyllama.errors import InvalidMedia

_LOCAL_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
        # Answers the virtual machines of Azure about themselves.
        "168.63.129.16/32",
    )
)
# Beside these all of IPv6 that is given out for hosts. What holds an address of IPv4 within it
# (mapped, NAT64, 6to4, Teredo) is outside or excepted: it could name a private one.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_EXCEPTED_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
# One way to write it only: no blanks and no backslashes, which parsers read in different ways.
_PLAIN = re.compile(r"[!-\[\]-~]+")
_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")
_MAX_CHARS = 8192
_SCHEMES = {"http": 80, "https": 443}


class Address:
    """An address of the web that was looked at: it is well-formed, and its scheme is fetched.

    Args:
        url: what a client or a redirect says.

    Raises:
        InvalidMedia: it is none that is fetched.
    """

    __slots__ = ("host", "is_secure", "port", "target", "url")

    def __init__(self, url: str) -> None:
        if len(url) > _MAX_CHARS:
            raise InvalidMedia(f"the address has more than {_MAX_CHARS:,} characters")
        if not _PLAIN.fullmatch(url):
            raise InvalidMedia("the address is not of plain ASCII; escape what is not")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise InvalidMedia(f"the address is malformed: {error}") from error
        if parts.scheme not in _SCHEMES:
            raise InvalidMedia("only addresses of http: and https: are fetched")
        if "@" in parts.netloc:
            raise InvalidMedia("the address holds a user or a password")
        self.url = url
        self.is_secure = parts.scheme == "https"
        self.host = _checked_host(parts.hostname or "")
        self.port = _SCHEMES[parts.scheme] if port is None else port
        self.target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    @property
    def header(self) -> str:
        """The value of the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_secure else 80) else f"{host}:{self.port}"

    @property
    def server_name(self) -> str:
        """The name that a certificate must be for."""
        return self.host.removesuffix(".")


def is_public(ip: str) -> bool:
    """Tell whether an address of IPv4 or IPv6 is one of the internet, for a single host."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _LOCAL_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _EXCEPTED_V6)


def _checked_host(host: str) -> str:
    """Return a host's name, or its address in the one form that means the same everywhere."""
    try:
        # A zone names a network of this machine.
        if ":" in host and "%" not in host:
            return str(ipaddress.IPv6Address(host))
        # 2130706433, 0177.0.0.1 and 0x7f.1 are ways to write 127.0.0.1.
        if _NUMBER.fullmatch(host):
            return str(ipaddress.IPv4Address(host.removesuffix(".")))
    except ValueError as error:
        raise InvalidMedia("the address has a malformed host") from error
    if not _NAME.fullmatch(host) or len(host) > 254:
        raise InvalidMedia("the address has a malformed host")
    return host
