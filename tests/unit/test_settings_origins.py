"""``--cors-origins``: which web pages may use the server."""

from __future__ import annotations

import pytest

from pyllama import settings
from pyllama.errors import ConfigError, UnknownOption
from pyllama.settings.settings import Settings


@pytest.mark.parametrize(
    ("text", "origins"),
    [
        ("*", ("*",)),
        ("localhost", ("localhost",)),
        ("https://chat.example.com", ("https://chat.example.com",)),
        ("https://Chat.example.com, localhost", ("https://chat.example.com", "localhost")),
        ("http://[::1]:3000,app://obsidian.md", ("http://[::1]:3000", "app://obsidian.md")),
    ],
)
def test_origins_are_a_list(text: str, origins: tuple[str, ...]) -> None:
    """Flag and variable are llama-server's, and survive the way to another process."""
    by_flag = settings.from_arguments(["--cors-origins", text], {})
    by_variable = settings.from_arguments([], {"LLAMA_ARG_CORS_ORIGINS": text})
    assert by_flag.cors_origins == by_variable.cors_origins == origins
    assert Settings.from_json(by_flag.to_json()) == by_flag


def test_pages_of_this_machine_are_the_default() -> None:
    """llama-server's own default would be everybody's; the help says what is ours."""
    assert settings.from_arguments([], {}).cors_origins == ("localhost",)
    assert "pyllama's default: localhost\n" in settings.help_text()


@pytest.mark.parametrize(
    "text", ["", "chat.example.com", "https://a.example/", "https://a.example/x", "https://"]
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    """An origin that no browser sends would open nothing."""
    with pytest.raises(ConfigError, match="--cors-origins must be"):
        settings.from_arguments(["--cors-origins", text], {})


@pytest.mark.parametrize("flag", ["--cors-methods", "--cors-headers", "--no-cors-credentials"])
def test_what_is_not_honoured_is_refused(flag: str) -> None:
    """Methods and headers are not for the operator to choose, and there are no credentials."""
    with pytest.raises(UnknownOption, match="pyllama does not have"):
        settings.from_arguments([flag, "x"], {})
