"""Numbers that follow from the settings and the system."""

from __future__ import annotations

import resource
from typing import Any

import pytest

from wsgi.connections import limits


def derived(monkeypatch: pytest.MonkeyPatch, n_files: int, **given: Any) -> limits.Limits:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (n_files, n_files))
    values = {"n_connections": 1000, "n_threads": 76, "n_unfinished": 0, **given}
    return limits.derive(read_s=20.0, idle_s=30.0, **values)


@pytest.mark.parametrize(
    ("n_files", "n_connections"),
    [(20_000, 1000), (resource.RLIM_INFINITY, 1000), (1024, 896), (256, 128), (100, 50), (1, 1)],
)
def test_connections_leave_files_for_the_rest(
    monkeypatch: pytest.MonkeyPatch, n_files: int, n_connections: int
) -> None:
    """There are as many as were asked for, or as the process may open less some for itself."""
    assert derived(monkeypatch, n_files).n_connections == n_connections


def test_one_client_may_hold_an_eighth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it is said how much, and never more than there are."""
    assert derived(monkeypatch, 20_000).n_unfinished == 125
    assert derived(monkeypatch, 20_000, n_unfinished=7).n_unfinished == 7
    assert derived(monkeypatch, 256, n_unfinished=500).n_unfinished == 128


def test_some_connections_never_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thread may have a connection beside those that wait."""
    assert derived(monkeypatch, 20_000).n_idle == 1000 - 76
    assert derived(monkeypatch, 100).n_idle == 25


def test_body_time_grows_with_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body has its time, more for what came of it, and never more than an hour."""
    made = derived(monkeypatch, 20_000)
    times = [made.body_time_s(n) for n in (0, 8 * 1024, 1 << 20, 1 << 40)]
    assert times == [20.0, 21.0, 148.0, 3600.0]
