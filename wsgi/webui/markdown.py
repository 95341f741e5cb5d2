"""Markdown to HTML that a page may insert as it is, whoever wrote it.

Nothing of the input becomes a tag or an attribute but what the rules below write: raw HTML stays
text, a link leads to the web or to a mail address only, and a picture becomes a link, so that
nothing is loaded from elsewhere.
"""

from __future__ import annotations

import functools
import html
import re
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt

from .highlight import TooSlow, check_time, highlight

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

MAX_CHARS = 100_000
"""Longest text that is read as Markdown; a longer one is shown as it was written."""

_LINK = re.compile(r"(?:https?://|mailto:)[^\s]", re.IGNORECASE)
_LANGUAGE = re.compile(r"[\w+#.-]{1,32}")


def render(text: str, deadline_s: float) -> str:
    """Return a text as HTML; as it was written where it is too long or takes too long.

    Args:
        text: Markdown, with tables and strike-through.
        deadline_s: when to give up, on the clock of ``time.monotonic``.
    """
    if len(text) <= MAX_CHARS:
        try:
            check_time(deadline_s)
            rendered: str = _parser().render(text, {"deadline_s": deadline_s})
        except TooSlow:
            return _plain(text)
        return rendered
    return _plain(text)


def _plain(text: str) -> str:
    return f'<pre class="plain">{html.escape(text)}</pre>\n'


@functools.cache
def _parser() -> MarkdownIt:
    """Return the parser; once made it is not changed, so that threads may share it."""
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.validateLink = _is_safe  # type: ignore[method-assign]
    parser.block.ruler.before("table", "deadline", _block_deadline)
    parser.inline.ruler.before("text", "deadline", _inline_deadline)
    for name, rule in (
        ("link_open", _link_open),
        ("image", _image),
        ("th_open", _cell),
        ("td_open", _cell),
        ("fence", _code),
        ("code_block", _code),
    ):
        parser.add_render_rule(name, rule)
    return parser


def _is_safe(url: str) -> bool:
    return _LINK.match(url) is not None


def _block_deadline(state: StateBlock, _start: int, _end: int, _silent: bool) -> bool:  # noqa: FBT001 - the parser calls it so
    check_time(state.env["deadline_s"])
    return False


def _inline_deadline(state: StateInline, _silent: bool) -> bool:  # noqa: FBT001 - same
    check_time(state.env["deadline_s"])
    return False


def _link_open(_self: Any, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    token = tokens[index]
    return _link_start(str(token.attrGet("href")), str(token.attrGet("title") or ""))


def _image(_self: Any, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    token = tokens[index]
    url = str(token.attrGet("src"))
    # The alternative text, as it was written.
    text = html.escape(token.content or url)
    before = [other.type for other in tokens[:index]]
    if before.count("link_open") > before.count("link_close"):
        return text
    return f"{_link_start(url, '')}{text}</a>"


def _cell(_self: Any, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    """Return a cell's tag with its alignment as a class: the page allows no style attributes."""
    token = tokens[index]
    align = str(token.attrGet("style") or "").removeprefix("text-align:")
    return f'<{token.tag} class="{align}">' if align else f"<{token.tag}>"


def _link_start(url: str, title: str) -> str:
    told = f' title="{html.escape(title)}"' if title else ""
    return f'<a href="{html.escape(url)}"{told} target="_blank" rel="noopener noreferrer">'


def _code(_self: Any, tokens: Sequence[Token], index: int, _options: Any, env: Any) -> str:
    token = tokens[index]
    found = _LANGUAGE.match(token.info.strip())
    language = found.group() if found else ""
    told = f' data-language="{html.escape(language)}"' if language else ""
    code = highlight(token.content, language, env["deadline_s"])
    return f'<pre class="hl"{told}><code>{code}</code></pre>\n'
