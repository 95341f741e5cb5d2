"""Made-up requests to every route, over a fake model."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api_cases import MAX_TOKENS, Plan, operations_with_bodies, small, try_out
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import client_of
from wsgi.factory import create_app
from wsgi.host import Host

DOCUMENT = client_of(FakeLlama()).get("/openapi.json").json()
PLACES = list(operations_with_bodies(DOCUMENT))


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("place", PLACES, ids=lambda place: place[0])
def test_made_up_requests_are_answered_as_told(
    place: tuple[str, str], pytestconfig: pytest.Config
) -> None:
    """Right or wrong, each gets a status, a type and a shape that the document has for it."""
    llm: Any = FakeLlama()
    app = create_app(Host(llm))
    plan = Plan.of(pytestconfig, len(PLACES), least=20)
    statuses = try_out(DOCUMENT, place, lambda case: case.call(app=app), plan)
    assert len(statuses) >= plan.n_cases
    assert {200, 400} <= set(statuses)


@pytest.mark.parametrize(
    ("value", "cut"),
    [(-1, MAX_TOKENS), (-1.0, MAX_TOKENS), (10**9, MAX_TOKENS), (0, 0), (-2, -2), ("x", "x")],
)
def test_made_up_limits_are_small(value: Any, cut: Any) -> None:
    """A limit becomes small, but one that is wrong stays wrong."""
    assert small({"max_tokens": value, "stop": ["a" * 999]}) == {
        "max_tokens": cut,
        "stop": ["a" * 200],
    }


def test_options_share_the_cases(pytestconfig: pytest.Config) -> None:
    """A number on the command line is that of all operations together."""
    asked: Any = type("Config", (), {"getoption": lambda _self, _name: 100})()
    assert Plan.of(asked, 11, least=20) == Plan(10, is_random=True)
    asked.__class__.getoption = lambda _self, _name: 0
    assert Plan.of(asked, 11, least=20) == Plan(20, is_random=False)
