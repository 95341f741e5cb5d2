"""Clients of an application over a fake model."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.support.fake_llama import FakeLlama
from tests.wsgi.hall import Hall
from wsgi.factory import create_app
from wsgi.host import Host

ClientOf = Callable[..., httpx.Client]
MakeHall = Callable[..., Hall]


def client_of(llm: Any) -> httpx.Client:
    """Return a client of an application over a model, or over a host."""
    host = llm if isinstance(llm, Host) else Host(llm)
    app: Any = create_app(host)  # httpx has a narrower type for what it calls
    transport = httpx.WSGITransport(app=app)
    return httpx.Client(transport=transport, base_url="http://test")


@pytest.fixture
def connect() -> ClientOf:
    """What makes clients of a model that the test makes."""
    return client_of


@pytest.fixture
def llm() -> FakeLlama:
    """A model that answers "Hello" in two tokens."""
    return FakeLlama()


@pytest.fixture
def client(llm: FakeLlama) -> httpx.Client:
    """A client of that model."""
    return client_of(llm)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The server's and the client's end of a connection."""
    server, client = socket.socketpair()
    with server, client:
        yield server, client


@pytest.fixture
def hall() -> Iterator[MakeHall]:
    """What makes receptions with limits of the test's own, closed when it ends."""
    halls: list[Hall] = []

    def made(**limits: Any) -> Hall:
        halls.append(Hall(**limits))
        return halls[-1]

    yield made
    for each in halls:
        each.close()
