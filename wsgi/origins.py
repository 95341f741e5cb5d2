"""Which web pages may use the server: a browser says with each request what page sent it.

Programs other than browsers send neither ``Origin`` nor ``Sec-Fetch-Site``, and notice nothing of
this.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import falcon

from pyllama.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Collection

LOCAL = "localhost"
"""Stands for the pages and the programs of the user's own machine."""
ANY = "*"
"""Stands for every page there is."""

_SAFE_METHODS = {"GET", "HEAD"}
_OTHER_SITES = {"cross-site", "same-site"}
_NAMES = re.compile(r"[\w\-]+(?:\s*,\s*[\w\-]+)*", re.ASCII)
_PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": "GET, POST, DELETE",
    "Access-Control-Max-Age": "7200",
}


class ForeignOrigin(InvalidRequest):
    """A page that may not use this server sent a request that does something."""

    def __init__(self, origin: str | None) -> None:
        page = "a page of another site" if origin is None else f"a page of {origin[:100]!r}"
        super().__init__(
            f"{page} may not send this; start the server with --cors-origins to let it"
        )


class Origins:
    """Refuses what pages of other origins send, and lets those that are allowed read the answers.

    A request that changes nothing passes: without the headers set here, no page can read what it
    is answered.

    Args:
        allowed: origins (``https://chat.example.com``), :data:`LOCAL` or :data:`ANY`.
    """

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = frozenset(allowed)

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Look at the page that a request comes from.

        Raises:
            ForeignOrigin: it is none that may send such a request.
        """
        origin = req.get_header("Origin")
        if origin is not None and self._allows(origin):
            _let_read(req, resp, origin)
        elif req.method not in _SAFE_METHODS and not self._is_unsuspicious(req, origin):
            raise ForeignOrigin(origin)

    def _allows(self, origin: str) -> bool:
        if ANY in self._allowed or origin in self._allowed:
            return True
        return LOCAL in self._allowed and _is_local(origin)

    def _is_unsuspicious(self, req: falcon.Request, origin: str | None) -> bool:
        site = req.get_header("Sec-Fetch-Site")
        if origin is None:
            return site not in _OTHER_SITES or ANY in self._allowed
        # Browsers say so over TLS and to this machine only, where no name can lead astray.
        return site == "same-origin" or _is_own(req, origin)


def _let_read(req: falcon.Request, resp: falcon.Response, origin: str) -> None:
    """Answer a page's browser that the page may read this, or send what it is about to."""
    resp.set_header("Access-Control-Allow-Origin", origin)
    resp.set_header("Access-Control-Expose-Headers", "Retry-After, X-Request-Id")
    resp.append_header("Vary", "Origin")
    if req.method != "OPTIONS" or req.get_header("Access-Control-Request-Method") is None:
        return
    resp.set_headers(_PREFLIGHT_HEADERS)
    wanted = req.get_header("Access-Control-Request-Headers")
    if wanted is not None and _NAMES.fullmatch(wanted):
        resp.set_header("Access-Control-Allow-Headers", wanted)
    resp.status = falcon.HTTP_NO_CONTENT
    resp.complete = True


def _is_local(origin: str) -> bool:
    """Tell whether a page or program of the user's own machine has an origin.

    One that is neither ``http`` nor ``https`` is that of a program, such as an editor or an
    extension of the browser: no web site can have it. ``null`` is anybody's.
    """
    scheme, found, _ = origin.partition("://")
    if not found:
        return False
    return scheme not in {"http", "https"} or _names_this_machine(_host_of(origin))


def _is_own(req: falcon.Request, origin: str) -> bool:
    """Tell whether a page came from this server, by the name that the browser knows it under.

    That name means little where it is not encrypted and leads to a server of this machine alone:
    any site can let its own name lead there. A number cannot be made to lead elsewhere.
    """
    scheme, _, place = origin.partition("://")
    if place.lower() != (req.get_header("Host") or "").lower():
        return False
    host = _host_of(origin)
    if scheme == "https" or _is_address(host) or _names_this_machine(host):
        return True
    return not _names_this_machine(req.env.get("SERVER_NAME", ""))


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def _names_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
