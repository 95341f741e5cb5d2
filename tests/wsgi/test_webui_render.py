"""Markdown to HTML: what is made of it, and that no input becomes script or takes long."""

from __future__ import annotations

import re
import time
from html import escape
from html.parser import HTMLParser

import httpx
import pytest

from wsgi.webui import highlight
from wsgi.webui.markdown import MAX_CHARS, render

TAGS = {
    *("a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "hr", "li", "ol", "p", "pre"),
    *("s", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul"),
}
ATTRIBUTES = {"class", "data-language", "href", "rel", "start", "target", "title"}
LATE_S = 3600.0


class Reader(HTMLParser):
    """Notes every tag and attribute, as a browser would find them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[dict[str, str | None]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)
        if tag == "a":
            self.links.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.text += data


def html_of(text: str, *, seconds: float = LATE_S) -> str:
    return render(text, time.monotonic() + seconds)


def test_texts_are_rendered_in_their_order(client: httpx.Client) -> None:
    """Each text has its HTML, headings and emphasis included; no model is asked."""
    response = client.post("/api/render", json={"texts": ["# One", "*two*", ""]})
    assert response.json() == {"html": ["<h1>One</h1>\n", "<p><em>two</em></p>\n", ""]}


def test_code_has_colours_and_names_its_language() -> None:
    """A fence becomes spans with classes, and has no style attribute."""
    html = html_of("```python\ndef f(): pass\n```")
    assert html.startswith(
        '<pre class="hl" data-language="python"><code><span class="k">def</span>'
    )
    assert Reader(html).text == "def f(): pass\n\n"


@pytest.mark.parametrize("fence", ["```\n{}\n```", "```nolanguage\n{}\n```", "    {}"])
def test_code_of_no_known_language_stays_text(fence: str) -> None:
    """Without a lexer the code is escaped and otherwise as it was."""
    html = html_of(fence.format("<b>&"))
    assert "<code>&lt;b&gt;&amp;\n</code>" in html


def test_long_code_has_no_colours() -> None:
    """Lexers see no more than they read in good time."""
    html = html_of(f"```python\n{'x = 1 ' * highlight.MAX_CODE_CHARS}\n```")
    assert "span" not in Reader(html).tags


def test_tables_and_struck_text_are_read() -> None:
    """Alignment is a class."""
    html = html_of("|a|b|\n|-|:-:|\n|~~1~~|2|")
    assert "<th>a</th>" in html
    assert '<td class="center">2</td>' in html
    assert "<s>1</s>" in html


def test_links_lead_outside_safely() -> None:
    """A link to the web opens apart and tells nothing of the page; a picture is such a link."""
    read = Reader(html_of('[a](https://x.y "t\\"") ![b](http://p.q/r.png) <mailto:c@d.e>'))
    assert [link["href"] for link in read.links] == [
        "https://x.y",
        "http://p.q/r.png",
        "mailto:c@d.e",
    ]
    for link in read.links:
        assert link["target"] == "_blank"
        assert link["rel"] == "noopener noreferrer"
    assert "img" not in read.tags


def test_a_picture_in_a_link_is_its_text() -> None:
    """Links do not nest."""
    read = Reader(html_of("[![b](http://p.q/r.png)](https://x.y)"))
    assert [link["href"] for link in read.links] == ["https://x.y"]
    assert read.text == "b\n"


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "a <svg/onload=alert(1)> b",
        "<div style='x'>\n\n# h\n\n</div>",
        "<!-- x --><iframe srcdoc='<script>alert(1)</script>'>",
        "[a](javascript:alert(1))",
        "[a](JaVaScRiPt:alert(1))",
        "[a](&#106;avascript:alert(1))",
        "[a](java\tscript:alert(1))",
        "[a](data:text/html;base64,PHNjcmlwdD4=)",
        "![a](data:image/svg+xml;base64,PHN2Zz4=)",
        "[a](vbscript:x) [b](file:///etc/passwd) [c](/api/models) [d](//evil.example)",
        "<javascript:alert(1)>",
        "[q]\n\n[q]: javascript:alert(1)",
        '[a](https://x.y/"onmouseover=alert(1))',
        "[a](https://x.y 'z\" onmouseover=\"alert(1)')",
        '![" onerror="alert(1)](https://x.y/"><script>)',
        '```js" onclick="alert(1)\nx\n```',
        '```"><script>alert(1)</script>\n</code></pre><script>alert(1)</script>\n```',
        "```python onload=alert(1)\n'</span><script>'\n```",
        "|<b onclick=x>|\n|:-|\n|<script>|",
        "\x00<script>\x00alert(1)</script>",
    ],
)
def test_hostile_text_stays_text(text: str) -> None:
    """Only the tags and attributes that we write are in the HTML, and links lead outside only."""
    read = Reader(html_of(text))
    assert read.tags <= TAGS
    assert read.attributes <= ATTRIBUTES
    assert all(re.match(r"https?://|mailto:", str(link["href"])) for link in read.links)


@pytest.mark.parametrize(
    "piece",
    ["[", "*", ">", "> ", "![", "`", "_a*", "[a](", "<", "- ", "- a\n", "|", "~~a", "[a][b]", "\\"],
)
def test_repetition_is_answered_in_bounded_time(client: httpx.Client, piece: str) -> None:
    """Half a megabyte, and the longest text that is still read, cost what a request may cost."""
    texts = [piece * (500_000 // len(piece)), piece * (MAX_CHARS // len(piece))]
    response = client.post("/api/render", json={"texts": texts})
    long, short = response.json()["html"]
    assert Reader(long).text.strip("\n") == texts[0].strip("\n")
    assert Reader(short).tags <= TAGS


@pytest.mark.parametrize("text", ["a" * 10, "[" * 10, "```c\nint\n```", "a & " * 10])
def test_what_takes_too_long_is_shown_as_written(text: str) -> None:
    """Past the deadline a text is escaped, and nothing else."""
    assert (
        html_of(f"{text}<b>", seconds=-1.0) == f'<pre class="plain">{escape(text)}&lt;b&gt;</pre>\n'
    )


def test_deadline_is_looked_at_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that is begun in time is given up in its middle."""
    ticks = iter(range(10_000))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(ticks)))
    assert render("[" * 2000, 500.0).startswith('<pre class="plain">')
    assert next(ticks) < 600


def test_bodies_are_bounded(client: httpx.Client) -> None:
    """Too many texts are a 400, too many bytes a 413."""
    assert client.post("/api/render", json={"texts": [""] * 1001}).status_code == 400
    assert client.post("/api/render", json={"texts": ["a" * (5 << 20)]}).status_code == 413
