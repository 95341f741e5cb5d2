"""``GET /docs``: the OpenAPI document as a page without scripts, so that every browser shows it."""

from __future__ import annotations

import base64
import hashlib
import shlex
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

import falcon
import orjson

from .words import type_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..openapi import Document

_STYLE = (resources.files(__package__) / "style.css").read_text(encoding="utf-8")
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class DocsPage:
    """Serves the page, also while the model loads."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the page; its commands name the server as the browser does."""
        resp.content_type = falcon.MEDIA_HTML
        resp.set_header("Content-Security-Policy", _POLICY)
        resp.set_header("X-Content-Type-Options", "nosniff")
        resp.text = "\n".join(_page(self._document.content, req.prefix))

    on_head = on_get


def _page(document: Mapping[str, Any], server: str) -> Iterator[str]:
    """Yield the lines of the page."""
    info, paths = document["info"], document["paths"]
    title = escape(f"{info['title']} {info['version']}")
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>"
    yield '<meta name=viewport content="width=device-width">'
    yield f"<style>{_STYLE}</style><h1>{title}</h1><p>{escape(info['description'])}"
    yield '<p>The same for programs: <a href="openapi.json">openapi.json</a>'
    schemas = document["components"]["schemas"]
    for tag in (tag["name"] for tag in document["tags"]):
        yield f"<h2>{escape(tag)}</h2>"
        for path, method, operation in _operations(paths):
            if tag in operation["tags"] and "x-alias-of" not in operation:
                command = _command(method, server + path, operation, schemas)
                yield from _operation(path, method, operation, command)
                yield from _aliases(paths, path)
                yield "</details>"
    yield "<h2>Schemas</h2>"
    for name, schema in schemas.items():
        yield f"<details id={_quoted(name)} open><summary><code>{escape(name)}</code> "
        yield f"{escape(schema.get('title', ''))}</summary>"
        yield from _schema(schema)
        yield "</details>"


def _operations(paths: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, item in paths.items():
        for method, operation in item.items():
            if method != "parameters":
                yield path, method, operation


def _operation(path: str, method: str, operation: Mapping[str, Any], command: str) -> Iterator[str]:
    yield f"<details id={_quoted(operation['operationId'])}><summary><b>{method.upper()}</b>"
    yield f"<code>{escape(path)}</code> {escape(operation['summary'])}</summary>"
    yield f"<pre>{escape(command)}</pre>"
    body = operation.get("requestBody", {})
    if body:
        yield f"<p>Body: {_kinds(body)}"
    yield "<table>"
    for status, response in operation["responses"].items():
        told = f"{escape(response['description'])} {_kinds(response)}"
        yield f"<tr><td>{status}<td>{told}"
    yield "</table>"
    if refused := body.get("x-refused"):
        yield "<p>Refused fields:<table>"
        for name, remedy in refused.items():
            yield f"<tr><td><code>{escape(name)}</code><td>{escape(remedy)}"
        yield "</table>"


def _aliases(paths: Mapping[str, Any], path: str) -> Iterator[str]:
    others = {other for other, _, told in _operations(paths) if told.get("x-alias-of") == path}
    if others:
        yield f"<p>Also at {', '.join(f'<code>{escape(other)}</code>' for other in sorted(others))}"


def _command(
    method: str, url: str, operation: Mapping[str, Any], schemas: Mapping[str, Any]
) -> str:
    """Return a line for a shell, with the first example of the body's schema."""
    words = ["curl", *(["-X", method.upper()] if method == "delete" else []), url]
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        if falcon.MEDIA_JSON not in content:
            return shlex.join([*words, "-F", "file=@FILE"])
        example = schemas[_name(content[falcon.MEDIA_JSON]["schema"]["$ref"])]["examples"][0]
        words += ["-H", f"Content-Type: {falcon.MEDIA_JSON}", "-d", orjson.dumps(example).decode()]
    return shlex.join(words)


def _kinds(holder: Mapping[str, Any]) -> str:
    kinds = []
    for kind, content in holder["content"].items():
        schema = content.get("schema", {})
        told = _type(schema) if "$ref" in schema else escape(kind)
        kinds.append(told)
    return " or ".join(kinds)


def _schema(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield a table of the properties, then the schema itself: a table does not tell all."""
    required = schema.get("required", ())
    yield from (
        f"<p>All of {_type(part)}, and" for part in schema.get("allOf", ()) if "$ref" in part
    )
    yield "<table>"
    for name, value in schema.get("properties", {}).items():
        mark = " (required)" if name in required else ""
        mark += " (ignored)" if value.get("x-ignored") else ""
        yield f"<tr><td><code>{escape(name)}</code>{mark}<td>{_type(value)}"
        yield f"<td>{escape(value.get('description', ''))}"
    yield "</table>"
    text = orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode()
    yield f"<details><summary>JSON schema</summary><pre>{escape(text)}</pre></details>"


def _type(schema: Mapping[str, Any]) -> str:
    """Return what a value may be, schemas as links to them."""
    parts = []
    for words, reference in type_words(schema):
        if reference:
            name = _name(reference)
            parts.append(f"{escape(words)}<a href={_quoted('#' + name)}>{escape(name)}</a>")
        else:
            parts.append(escape(words))
    return "".join(parts)


def _name(reference: str) -> str:
    return reference.rpartition("/")[2]


def _quoted(text: str) -> str:
    return f'"{escape(text)}"'
