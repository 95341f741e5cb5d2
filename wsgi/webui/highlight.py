"""Code to HTML with a class for each kind of token, and the colours of these classes."""

from __future__ import annotations

import html
import io
import time
from typing import TYPE_CHECKING, Any

from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CODE_CHARS = 20_000
"""Longest code that gets colours: lexers are made for programs, not for what was written to take
them long."""

LIGHT_STYLE, DARK_STYLE = "xcode", "lightbulb"
"""Pygments' styles of which each colour stands out 4.5 to 1 from the backgrounds below."""
LIGHT_BACKGROUND, DARK_BACKGROUND = "#f6f8fa", "#161b22"


class TooSlow(Exception):
    """The time that a request has is over."""


def check_time(deadline_s: float) -> None:
    """Raise TooSlow after a point in time on the clock of ``time.monotonic``."""
    if time.monotonic() > deadline_s:
        raise TooSlow


def highlight(code: str, language: str, deadline_s: float) -> str:
    """Return code as HTML: without colours where the language is unknown or the code too long.

    Raises:
        TooSlow: the deadline came first.
    """
    if len(code) > MAX_CODE_CHARS:
        return html.escape(code)
    try:
        lexer = get_lexer_by_name(language, ensurenl=False, stripnl=False)
    except ClassNotFound:
        return html.escape(code)
    out = io.StringIO()
    tokens = _until(deadline_s, lexer.get_tokens(code))
    HtmlFormatter(nowrap=True).format(tokens, out)
    return out.getvalue()


def stylesheet() -> str:
    """Return the CSS of the classes, in a light and in a dark form.

    The dark one holds where the browser prefers it; ``data-theme`` on the root element, ``light``
    or ``dark``, decides over the browser.
    """
    by_choice = ':root[data-theme="dark"] .hl'
    by_preference = ':root:not([data-theme="light"]) .hl'
    return "\n".join(
        (
            f".hl {{ background: {LIGHT_BACKGROUND} }}",
            *_rules(LIGHT_STYLE, ".hl"),
            f"{by_choice} {{ background: {DARK_BACKGROUND} }}",
            *_rules(DARK_STYLE, by_choice),
            "@media (prefers-color-scheme: dark) {",
            f"{by_preference} {{ background: {DARK_BACKGROUND} }}",
            *_rules(DARK_STYLE, by_preference),
            "}\n",
        )
    )


def _rules(style: str, prefix: str) -> list[str]:
    formatter: Any = HtmlFormatter(style=style)  # its stubs lack this method
    rules: list[str] = formatter.get_token_style_defs(prefix)
    return rules


def _until(deadline_s: float, tokens: Iterator[Any]) -> Iterator[Any]:
    for token in tokens:
        check_time(deadline_s)
        yield token
