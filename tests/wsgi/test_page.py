"""The chat page's files: who gets what, how it may be kept, and what it weighs."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx
import pytest

from tests.support.contrast import contrast

STATIC = Path(__file__).parents[2] / "wsgi" / "page" / "static"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
ADDRESS = re.compile(r'(?:src|href)="(ui/[^"]+)"')
MAX_BYTES = 200_000


@pytest.mark.parametrize(
    ("path", "accept", "kind"),
    [
        ("/", HTML["Accept"], "text/html"),
        ("/", "*/*", "text/plain"),
        ("/", "application/json", "text/plain"),
        ("/index.html", "*/*", "text/html"),
    ],
)
def test_browsers_get_the_page(client: httpx.Client, path: str, accept: str, kind: str) -> None:
    """Who names HTML among what it accepts gets the page, everybody else a line of text."""
    response = client.get(path, headers={"Accept": accept})
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith(kind)
    assert "Accept" in client.get("/").headers["Vary"]
    assert client.head(path, headers={"Accept": accept}).status_code == 200


def test_nothing_inline_and_nothing_from_elsewhere(client: httpx.Client) -> None:
    """The policy allows this server's own files only, and the page needs no more."""
    response = client.get("/", headers=HTML)
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "unsafe" not in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"\son\w+=|style=|<style|<script>|javascript:", response.text)
    for path in STATIC.iterdir():
        addresses = re.findall(r"https?://[^\s\"']+", path.read_text(encoding="utf-8"))
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, path.name


# What browsers keep from pages that came over plain HTTP from another machine.
SECURE_ONLY = re.compile(
    r"randomUUID|crypto\.subtle|\bcaches\b|CacheStorage|cookieStore|\bNotification\b|PushManager"
    r"|show(?:Open|Save|Directory)\w*Picker|SharedArrayBuffer|launchQueue|EyeDropper|IdleDetector"
    r"|PaymentRequest|PublicKeyCredential|WebTransport|VideoDecoder|AudioWorklet"
    r"|navigator\.(?:bluetooth|clipboard|credentials|geolocation|gpu|hid|keyboard|locks|mediaDevices"
    r"|mediaSession|permissions|presentation|serial|serviceWorker|share|canShare|storage|usb|wakeLock"
    r"|xr|deviceMemory|setAppBadge|userAgentData)"
)


def test_nothing_needs_a_trusted_connection() -> None:
    """The page works over plain HTTP too; copying alone tries the trusted way before another."""
    used = {
        (path.name, found)
        for path in STATIC.glob("*.js")
        for line in path.read_text(encoding="utf-8").splitlines()
        if not line.lstrip().startswith(("//", "*", "/*"))
        for found in SECURE_ONLY.findall(line)
    }
    assert used == {("clipboard.js", "navigator.clipboard")}


def test_the_first_paint_is_light(client: httpx.Client) -> None:
    """The page with everything that it loads is under 200 kB, before compression."""
    page = client.get("/", headers=HTML)
    weight = len(page.content)
    waiting, loaded = set(ADDRESS.findall(page.text)), set()
    while waiting:
        address = waiting.pop()
        loaded.add(address)
        response = client.get(f"/{address}")
        assert response.status_code == 200, address
        weight += len(response.content)
        folder = address.rpartition("/")[0]
        found = re.findall(r'from "\./([\w.]+)"', response.text)
        waiting |= {f"{folder}/{name}" for name in found} - loaded
    assert weight < MAX_BYTES
    # Nothing lies there that no page loads.
    names = {address.rpartition("/")[2] for address in loaded}
    assert names | {"index.html"} == {path.name for path in STATIC.iterdir()}


def test_files_are_kept_for_good(client: httpx.Client) -> None:
    """A file's address has its version, so a browser asks once; the page itself is asked anew."""
    page = client.get("/", headers=HTML)
    assert page.headers["Cache-Control"] == "no-cache"
    (address, *_) = ADDRESS.findall(page.text)
    file = client.get(f"/{address}")
    assert "immutable" in file.headers["Cache-Control"]
    again = client.get("/", headers={**HTML, "If-None-Match": page.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["main.js", "..%2Fpage.py", "index.html", "nothing.js"])
def test_only_the_files_of_this_version_are_there(client: httpx.Client, name: str) -> None:
    """Another version, another folder or an unknown name is 404."""
    assert client.get(f"/ui/000000000000/{name}").status_code == 404
    (address, *_) = ADDRESS.findall(client.get("/", headers=HTML).text)
    status = client.get(f"/{address.rpartition('/')[0]}/{name}").status_code
    assert status == (200 if name == "main.js" else 404)


@pytest.mark.parametrize(
    ("accepts", "is_packed"),
    [("gzip, br", True), ("br;q=1, gzip;q=0.5", True), ("gzip;q=0", False), ("identity", False)],
)
def test_who_takes_gzip_gets_it(client: httpx.Client, accepts: str, *, is_packed: bool) -> None:
    """Compressed or not, it is the same file."""
    headers = {"Accept": "text/html", "Accept-Encoding": accepts}
    with client.stream("GET", "/", headers=headers) as response:
        data = b"".join(response.iter_raw())
        assert (response.headers.get("Content-Encoding") == "gzip") == is_packed
        assert "Accept-Encoding" in response.headers["Vary"]
    whole = gzip.decompress(data) if is_packed else data
    assert whole.startswith(b"<!doctype html>")


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_of_code_stand_out(scheme: int) -> None:
    """Every kind of token can be read on its background, as WCAG AA has it."""
    pairs = re.compile(r"light-dark\((#\w{6}), (#\w{6})\)")
    tokens = (STATIC / "tokens.css").read_text(encoding="utf-8")
    (ground,) = (pairs.findall(line) for line in tokens.splitlines() if "--sunken:" in line)
    prose = (STATIC / "prose.css").read_text(encoding="utf-8")
    colours = [pairs.findall(line) for line in prose.splitlines() if line.startswith(".hl ")]
    ratios = [contrast(found[0][scheme], ground[0][scheme]) for found in colours if found]
    assert len(ratios) >= 7
    assert min(ratios) >= 4.5


def words(language: str) -> set[str]:
    """Return the keys of a dictionary of the page."""
    text = (STATIC / f"words.{language}.js").read_text(encoding="utf-8")
    return set(re.findall(r"^  (\w+): ", text, re.MULTILINE))


def test_both_languages_say_everything() -> None:
    """What one dictionary has the other has, and every word that is asked for is there."""
    english = words("en")
    assert english == words("zh")
    texts = [path.read_text(encoding="utf-8") for path in STATIC.iterdir()]
    asked = {
        key
        for text in texts
        for key in re.findall(r'\bt\("(\w+)"|data-t(?:-[a-z-]+)?="(\w+)"', text)
        for key in key
        if key
    }
    assert asked <= english
    everything = "\n".join(texts)
    assert [key for key in english if len(re.findall(rf"\b{key}\b", everything)) < 3] == []
