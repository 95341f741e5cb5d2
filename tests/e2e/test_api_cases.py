"""Made-up requests to every route of a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import STATUS_APP
from tests.support.api_cases import MAX_TOKENS, MODEL, Plan, operations_with_bodies, try_out
from tests.support.fake_llama import FakeLlama
from tests.support.serving import Server
from tests.wsgi.conftest import client_of

# That of a server is the same: it has no part that comes from the model.
DOCUMENT = client_of(FakeLlama()).get("/openapi.json").json()
PLACES = list(operations_with_bodies(DOCUMENT))

pytestmark = [pytest.mark.e2e, pytest.mark.model]


@pytest.fixture(scope="module")
def server(short_model_path: Path) -> Iterator[Server]:
    """A server whose answers are short and whose context is small."""
    environ = {
        "LLAMA_ARG_MODEL": str(short_model_path),
        "LLAMA_ARG_ALIAS": MODEL,
        "LLAMA_ARG_CTX_SIZE": "2048",
        "LLAMA_ARG_N_PARALLEL": "4",
        # Two threads wait for each other by spinning: on a machine that does something else that
        # takes up to fifty times as long.
        "LLAMA_ARG_THREADS": "1",
        "PYLLAMA_MAX_TOKENS": str(MAX_TOKENS),
    }
    with Server(*STATUS_APP, environ=environ) as server:
        yield server.ready()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place[0])
def test_no_made_up_request_breaks_the_server(
    server: Server, place: tuple[str, str], pytestconfig: pytest.Config
) -> None:
    """Each gets the kind of answer that the document tells of, and the next one is answered."""
    plan = Plan.of(pytestconfig, len(PLACES), least=8)

    def send(case: Any) -> Any:
        return case.call(base_url=server.url, timeout=60)

    statuses = try_out(DOCUMENT, place, send, plan)
    assert len(statuses) >= plan.n_cases
    assert httpx.get(f"{server.url}/openapi.json").json() == DOCUMENT
    assert httpx.post(f"{server.url}/test/engine").json() == {"ledger": "agrees"}
    assert httpx.get(f"{server.url}/test/engine").json()["n_busy"] == 0
