"""``GET /openapi.json``: the routes as an OpenAPI 3.1 document.

It is made of the schemas that check the requests, so it cannot say anything else than they do.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import falcon
import orjson

import pyllama

from .errors import dialect_of
from .validation import load_schemas

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .fields import FieldReader
    from .operations import Operation, Route

_ABOUT = (
    "A body is read as JSON whatever its content type says. A member that is null counts as "
    "absent, `top-p` as `top_p`; one that no API defines is ignored. A member with `x-ignored` is "
    "taken, and no answer hangs on it. A member that its API defines and that asks for what is "
    "not done here is in no schema: x-refused has its name, and what to do instead. Answers may "
    "have more members than are told here."
)

_ERRORS = {
    400: "The request is wrong; the message says where and how.",
    403: "A web page of another site sent the request; --cors-origins can allow it.",
    404: "What was asked for is not there.",
    408: "The request did not come in time; its connection ends.",
    413: "The body is too large.",
    422: "The answer is not what its schema asks for.",
    429: "The queue is full; Retry-After says when to try again.",
    500: "The server failed.",
    501: "The server was started without it.",
    503: "The model is loading, the server is full or shuts down; Retry-After says when to try "
    "again.",
    507: "The server's disk has no room for what was sent.",
}
_FILE = {"type": "string", "contentMediaType": "application/octet-stream"}
_FORM = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {"type": "object", "required": ["file"], "properties": {"file": _FILE}}
        }
    },
}
# By the type of a stream: when there is one.
_STREAMS = {
    "text/event-stream": "if the body has `stream`, a stream of events",
    "application/x-ndjson": "unless `stream` is false, a stream of JSON lines",
}
# A field of a path, with the converter that Falcon reads it by.
_FIELD = re.compile(r"\{(\w+)(?::\w+)?\}")


class OpenApi:
    """Serves the document, also while the model loads."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the whole document."""
        resp.content_type = falcon.MEDIA_JSON
        resp.data = self._document.data

    on_head = on_get


class Document:
    """The document of some routes, assembled when it is first asked for.

    Attributes:
        routes: what it tells of; to be set before.
    """

    def __init__(self, routes: Iterable[Route] = ()) -> None:
        self.routes = routes

    @functools.cached_property
    def content(self) -> dict[str, Any]:
        """The document; not to be changed."""
        components = Components()
        paths: dict[str, Any] = {}
        for route in self.routes:
            for path in route.paths:
                paths[_FIELD.sub(r"{\1}", path)] = _path_item(route, path, components)
        return {
            "openapi": "3.1.0",
            "info": {"title": "pyllama", "version": pyllama.__version__, "description": _ABOUT},
            "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
            "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in self.routes)],
            "paths": paths,
            "components": {"schemas": dict(sorted(components.schemas.items()))},
        }

    @functools.cached_property
    def data(self) -> bytes:
        """The document as JSON."""
        return orjson.dumps(self.content)


class Components:
    """The schemas of files, and their definitions, under the names that the document has for them.

    Attributes:
        schemas: those that something refers to.
    """

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {}

    def refer(self, package: str, file: str, definition: str | None = None) -> dict[str, str]:
        """Return the reference to a schema, which becomes one of the components.

        Args:
            package: the package whose ``schemas`` folder has the file.
            file: its name.
            definition: one of its ``$defs``; the whole file if absent.
        """
        names = [package.rpartition(".")[2], file.removesuffix(".json")]
        name = ".".join([*names, definition] if definition else names)
        if name not in self.schemas:
            document = _schemas_of(package)[file]
            self.schemas[name] = {}  # taken, for a schema that refers to itself
            schema = document["$defs"][definition] if definition else document
            self.schemas[name] = self._renamed(schema, package, file)
        return {"$ref": f"#/components/schemas/{name}"}

    def _renamed(self, node: Any, package: str, file: str) -> Any:
        if isinstance(node, list):
            return [self._renamed(item, package, file) for item in node]
        if not isinstance(node, dict):
            return node
        renamed = {
            key: self._renamed(value, package, file)
            for key, value in node.items()
            if key not in {"$schema", "$defs", "$ref"}
        }
        if "$ref" in node:
            other, _, definition = node["$ref"].partition("#/$defs/")
            renamed.update(self.refer(package, other or file, definition))
        return renamed


@functools.cache
def _schemas_of(package: str) -> Mapping[str, Any]:
    return load_schemas(package)


def _path_item(route: Route, path: str, components: Components) -> dict[str, Any]:
    item: dict[str, Any] = {
        method.lower(): _operation(route, method, path, components) for method in route.operations
    }
    if names := _FIELD.findall(path):
        item["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in names
        ]
    return item


def _operation(route: Route, method: str, path: str, components: Components) -> dict[str, Any]:
    operation = route.operations[method]
    words = re.findall(r"\w+", _FIELD.sub(r"\1", path)) or ["root"]
    told: dict[str, Any] = {
        "operationId": "_".join([method.lower(), *words]),
        "tags": [route.tag],
        "summary": operation.summary,
        "responses": {"200": _success(operation, components)},
    }
    if path != route.paths[0]:
        told["x-alias-of"] = _FIELD.sub(r"{\1}", route.paths[0])
    if operation.fields is not None:
        told["requestBody"] = _body(operation.fields, components)
    elif operation.takes_file:
        told["requestBody"] = _FORM
    shape = components.refer(f"{__package__}.{dialect_of(path)}", "answers.json", "error")
    for status in sorted(operation.errors):
        told["responses"][str(status)] = {
            "description": _ERRORS[status],
            "content": {falcon.MEDIA_JSON: {"schema": shape}},
        }
    return told


def _body(fields: FieldReader, components: Components) -> dict[str, Any]:
    schema = components.refer(fields.schema.package, fields.schema.name)
    body: dict[str, Any] = {"required": True, "content": {falcon.MEDIA_JSON: {"schema": schema}}}
    if fields.refusals:
        body["x-refused"] = {name: refusal.remedy for name, refusal in fields.refusals.items()}
    return body


def _success(operation: Operation, components: Components) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    if operation.answer is not None:
        dialect, _, definition = operation.answer.partition(".")
        schema = components.refer(f"{__package__}.{dialect}", "answers.json", definition)
    elif operation.media_type != falcon.MEDIA_JSON:
        schema = {"type": "string"}
    content = {operation.media_type: {"schema": schema}}
    description = "The answer."
    if operation.stream_type is not None:
        content[operation.stream_type] = {}  # a schema would be that of the whole stream
        description = f"The answer, or, {_STREAMS[operation.stream_type]}."
    return {"description": description, "content": content}
