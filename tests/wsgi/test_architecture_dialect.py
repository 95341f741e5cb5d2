"""A new dialect, as docs/architecture.md says to add one: a folder, and a line in the routes."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import wsgi
from tests.support.fake_llama import FakeLlama
from tests.wsgi.conftest import client_of
from wsgi import routes
from wsgi.operations import Route, counts

MAP = Path(__file__).parents[2] / "docs" / "architecture.md"

FILES = {
    "__init__.py": '"""The echo\'s dialect."""\n',
    "echo.py": '''
"""``POST /echo``: what was said, and how many tokens it is."""

from ..body import read_object
from ..fields import FieldReader
from ..validation import Schema

ECHO_FIELDS = FieldReader(Schema(__package__, "echo.json"), ())


class Echo:
    """Says it again."""

    def __init__(self, host):
        self._host = host

    def on_post(self, req, resp):
        """Answer with the text."""
        said = ECHO_FIELDS.read(read_object(req))["said"]
        resp.media = {"heard": said, "n_tokens": len(self._host.get().tokenize(said))}
''',
    "schemas/echo.json": """{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "title": "What is said",
  "type": "object",
  "required": ["said"],
  "properties": {"said": {"type": "string", "description": "say something"}}
}
""",
    "schemas/answers.json": """{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$defs": {
    "echoed": {
      "type": "object",
      "required": ["heard", "n_tokens"],
      "properties": {"heard": {"type": "string"}, "n_tokens": {"type": "integer"}}
    }
  }
}
""",
}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """A client of an application with the dialect."""
    for name, text in FILES.items():
        path = tmp_path / "echo" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip(), encoding="utf-8")
    monkeypatch.setattr(wsgi, "__path__", [*wsgi.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    echo = importlib.import_module("wsgi.echo.echo")

    def native(host: Any) -> tuple[Route, ...]:
        told = counts("Says it again", echo.ECHO_FIELDS, "echo.echoed")
        made = Route(paths=("/echo",), tag="echo", resource=echo.Echo(host), operations=told)
        return (*before(host), made)

    before = routes._native
    monkeypatch.setattr(routes, "_native", native)
    yield client_of(FakeLlama())
    for name in [name for name in sys.modules if name.startswith("wsgi.echo")]:
        del sys.modules[name]


def test_a_dialect_is_a_folder_and_its_routes(client: httpx.Client) -> None:
    """It answers, refuses in the caller's words, and is documented, by the listed files alone."""
    answer = client.post("/echo", json={"said": "abc"})
    assert answer.json() == {"heard": "abc", "n_tokens": 3}
    refused = client.post("/echo", json={"said": 1})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "said"
    assert "say something" in refused.json()["error"]["message"]
    document = client.get("/openapi.json").json()
    assert document["paths"]["/echo"]["post"]["summary"] == "Says it again"
    assert "echo.answers.echoed" in document["components"]["schemas"]


def test_the_folder_is_what_the_map_lists() -> None:
    """Each file of it stands in the list, and none is listed that it can do without."""
    text = MAP.read_text(encoding="utf-8").partition("### A dialect\n")[2].partition("\n### ")[0]
    listed = re.findall(r"`wsgi/<dialect>/([^`]+)`", text)
    assert sorted(name.replace("<dialect>", "echo") for name in listed) == sorted(FILES)
    assert re.findall(r"^- `(wsgi/[^`<]+)`", text, re.MULTILINE) == [
        "wsgi/routes.py",
        "wsgi/errors.py",
    ]
