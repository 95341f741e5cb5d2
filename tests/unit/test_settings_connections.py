"""Settings of connections: how many, and how long a request may take to come."""

from __future__ import annotations

import pytest

from pyllama import settings
from pyllama.errors import ConfigError


def test_defaults_of_connections() -> None:
    """Two thousand connections, an eighth of them for one client, twenty seconds for a request."""
    made = settings.from_keywords("m.gguf", {})
    assert (made.max_connections, made.max_unfinished, made.read_timeout_s) == (2000, 0, 20)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_connections", 0),
        ("max_unfinished", -1),
        ("read_timeout_s", 0.0),
        ("read_timeout_s", float("nan")),
    ],
)
def test_connections_out_of_range_are_errors(name: str, value: float) -> None:
    """What cannot be honoured is an error that names the setting."""
    with pytest.raises(ConfigError, match=f"{name} must be within"):
        settings.from_keywords("m.gguf", {name: value})
