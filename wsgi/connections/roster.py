"""Connections in the order in which they came to be as they are, by client."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .connection import Connection

_SUBNET_BITS = 64


def client_of(address: Any) -> str:
    """Return whom a socket's address counts for.

    An IPv6 network of 64 bits is one client, for whoever has an address of it has all. Unix
    sockets do not tell their clients apart.
    """
    if not isinstance(address, tuple):
        return ""
    host = str(address[0])
    if ":" not in host:
        return host
    found = ipaddress.IPv6Address(host.partition("%")[0])
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.IPv6Network((found, _SUBNET_BITS), strict=False))


class Roster:
    """Connections that are all in one state."""

    def __init__(self) -> None:
        self._by_client: dict[str, dict[Connection, None]] = {}
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[Connection]:
        """Return a copy's iterator, so that the loop may take connections out."""
        return iter([each for held in self._by_client.values() for each in held])

    def add(self, connection: Connection) -> None:
        """Put a connection last."""
        self._by_client.setdefault(connection.holder, {})[connection] = None
        self._n += 1

    def discard(self, connection: Connection) -> None:
        """Take a connection out, if it is here."""
        held = self._by_client.get(connection.holder, {})
        if connection in held:
            del held[connection]
            self._n -= 1
            if not held:
                del self._by_client[connection.holder]

    def count(self, client: str) -> int:
        """Return how many a client has."""
        return len(self._by_client.get(client, ()))

    def oldest(self, client: str) -> Connection:
        """Return a client's first one."""
        return next(iter(self._by_client[client]))

    def next_to_go(self) -> Connection | None:
        """Return the oldest of the client that has most, so that nobody pays for another."""
        if not self._n:
            return None
        held = max(self._by_client.values(), key=len)
        return next(iter(held))

    def bulkiest(self) -> Connection | None:
        """Return the one with most on disk, of the client that has most there."""
        totals = {
            client: sum(each.inbox.n_on_disk for each in held)
            for client, held in self._by_client.items()
        }
        if not any(totals.values()):
            return None
        worst = max(totals, key=totals.__getitem__)
        return max(self._by_client[worst], key=lambda each: each.inbox.n_on_disk)
