"""A real gunicorn over the real model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import openai
import pytest

from tests.support.serving import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# -P keeps the current folder off sys.path only from Python 3.11 on, so the folder is named instead.
STATUS_APP = ("-c", "python:wsgi.gunicorn_conf", "tests.support.status_app:app")


@pytest.fixture(scope="module")
def served_path(model_path: Path) -> Path:
    """The model of the server; a module to which words do not matter has a shorter one."""
    return model_path


@pytest.fixture(scope="module")
def server(served_path: Path) -> Iterator[Server]:
    """A server with eight slots of 2,048 tokens, and the status route."""
    environ = {
        "LLAMA_ARG_MODEL": str(served_path),
        "LLAMA_ARG_CTX_SIZE": str(8 * 2048),
        "LLAMA_ARG_N_PARALLEL": "8",
        # Two threads wait for each other by spinning: on a machine that does something else that
        # takes up to fifty times as long.
        "LLAMA_ARG_THREADS": "1",
    }
    with Server(*STATUS_APP, environ=environ) as server:
        yield server.ready()


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A client of that server."""
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture
def public(server: Server) -> Iterator[openai.OpenAI]:
    """OpenAI's client, unchanged."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as public:
        yield public
