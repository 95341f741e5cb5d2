"""The OpenAPI document and the page that is made of it: whole, valid and true."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from falcon import inspect
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from pyllama import __version__
from tests.support.fake_llama import INFO, FakeLlama
from tests.wsgi.conftest import ClientOf, client_of
from wsgi.docs.page import _page
from wsgi.errors import TABLE
from wsgi.factory import create_app
from wsgi.fields import FieldReader, Refusal
from wsgi.host import Host
from wsgi.openapi import Document
from wsgi.operations import Route, counts
from wsgi.routes import routes
from wsgi.validation import Schema

DOCUMENT = client_of(FakeLlama()).get("/openapi.json").json()
SCHEMAS = DOCUMENT["components"]["schemas"]
OPERATIONS = [
    (path, method, told)
    for path, item in DOCUMENT["paths"].items()
    for method, told in item.items()
    if method != "parameters"
]
BODIES = [
    (path, told["requestBody"]["content"]["application/json"]["schema"])
    for path, _, told in OPERATIONS
    # A host that was given its model cannot load it anew: that has a test of its own.
    if "application/json" in told.get("requestBody", {}).get("content", ())
    and path != "/api/models/load"
]


def referred(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema that knows the components."""
    return {**schema, "components": {"schemas": SCHEMAS}}


def check_answer(path: str, method: str, response: httpx.Response) -> None:
    """Check an answer against what the document says of its status."""
    told = DOCUMENT["paths"][path][method]["responses"][str(response.status_code)]
    schema = told["content"]["application/json"]["schema"]
    Draft202012Validator(referred(schema)).validate(response.json())


def example_of(schema: dict[str, Any]) -> Any:
    """Return the example that the document has of a body, with the name of the fake model."""
    example = SCHEMAS[schema["$ref"].rpartition("/")[2]]["examples"][0]
    return {**example, **({"model": INFO.id} if "model" in example else {})}


def test_document_is_valid() -> None:
    """It satisfies the meta-schema of OpenAPI 3.1, and each reference leads somewhere."""
    OpenAPIV31SpecValidator(DOCUMENT).validate()
    assert DOCUMENT["openapi"] == "3.1.0"
    assert DOCUMENT["info"]["version"] == __version__


def test_every_route_is_told_with_its_methods() -> None:
    """The application answers what the document says, under every path, and nothing else."""
    served = {
        (
            re.sub(r":\w+}", "}", route.path),
            frozenset(m.method for m in route.methods if not m.internal) - {"HEAD", "OPTIONS"},
        )
        for route in inspect.inspect_routes(create_app(Host()))
    }
    told = {
        (path, frozenset(method.upper() for method in item if method != "parameters"))
        for path, item in DOCUMENT["paths"].items()
    }
    assert len(told) > 20
    assert served == told


def test_operations_have_names_of_their_own() -> None:
    """No two operations share an id; each has a summary, and an answer of status 200."""
    names = [told["operationId"] for _, _, told in OPERATIONS]
    assert len(set(names)) == len(names)
    assert all(told["summary"] and "200" in told["responses"] for _, _, told in OPERATIONS)


def test_aliases_lead_to_a_path_that_does_the_same() -> None:
    """What is said of another path of a route is what is said of its first."""
    aliases = [(path, method, told) for path, method, told in OPERATIONS if "x-alias-of" in told]
    assert len(aliases) > 5
    for path, method, told in aliases:
        first = DOCUMENT["paths"][told["x-alias-of"]][method]
        assert "x-alias-of" not in first
        same = ("tags", "summary", "requestBody", "responses")
        assert [told.get(name) for name in same] == [first.get(name) for name in same], path


@pytest.mark.parametrize(("path", "schema"), BODIES, ids=lambda value: str(value)[:40])
def test_bodies_are_told_by_the_schemas_that_check_them(
    client: httpx.Client, path: str, schema: dict[str, Any]
) -> None:
    """The example passes both; an empty body and a wrong member fail both."""
    validator = Draft202012Validator(referred(schema))
    body = example_of(schema)
    validator.validate(body)
    response = client.post(path, json=body)
    assert response.status_code == 200, response.text
    check_answer(path, "post", response)
    for wrong in ({}, {**body, next(iter(body)): {"no": "such"}}):
        assert not validator.is_valid(wrong)
        response = client.post(path, json=wrong)
        assert response.status_code == 400
        check_answer(path, "post", response)


def test_definitions_of_other_files_are_components() -> None:
    """A reference to a neighbour's definition arrives, with what stands beside it."""
    logprobs = SCHEMAS["openai.completion"]["properties"]["logprobs"]
    assert logprobs["$ref"] == "#/components/schemas/openai.generation.top_tokens"
    assert "likeliest" in logprobs["description"]
    assert SCHEMAS["openai.generation.top_tokens"]["maximum"] == 1000


def test_refused_fields_are_in_no_schema() -> None:
    """They are named beside the body, each with what to do instead."""
    body = DOCUMENT["paths"]["/v1/chat/completions"]["post"]["requestBody"]
    assert body["x-refused"]["function_call"] == "send tool_choice"
    known = {*SCHEMAS["openai.chat"]["properties"], *SCHEMAS["openai.generation"]["properties"]}
    assert "temperature" in known
    assert not known & body["x-refused"].keys()


def test_reads_are_answered_as_told(client: httpx.Client) -> None:
    """Every JSON answer that needs no body has the shape that it is said to have."""
    kept = client.post("/v1/responses", json={"input": "Hi"}).json()["id"]
    for path, given in (
        ("/v1/models", ""),
        ("/v1/models/{model_id}", "fake.gguf"),
        ("/health", ""),
        ("/props", ""),
        ("/api/tags", ""),
        ("/api/ps", ""),
        ("/api/version", ""),
        ("/v1/responses/{response_id}", kept),
        ("/v1/models/{model_id}", "other"),
        ("/v1/responses/{response_id}", "resp_none"),
    ):
        check_answer(path, "get", client.get(re.sub(r"\{\w+}", given, path)))
    check_answer("/v1/responses/{response_id}", "delete", client.delete(f"/v1/responses/{kept}"))


def test_errors_are_told_in_the_shape_of_their_route(client: httpx.Client) -> None:
    """Anthropic's and Ollama's routes have other shapes of errors than the rest."""
    schemas = {
        path: told["responses"]["400"]["content"]["application/json"]["schema"]["$ref"]
        for path, _, told in OPERATIONS
        if "400" in told["responses"]
    }
    assert schemas["/v1/messages"].endswith("anthropic.answers.error")
    assert schemas["/v1/responses"].endswith("openai.answers.error")
    assert schemas["/api/chat/ollama"].endswith("ollama.answers.error")
    assert schemas["/api/chat"].endswith("webui.answers.error")
    check_answer("/api/chat", "post", client.post("/api/chat", json={}))
    check_answer("/v1/messages", "post", client.post("/v1/messages", json={}))


def test_statuses_are_those_of_the_table() -> None:
    """No operation tells of an error that none of the classes has, a large body apart."""
    told = {status for _, _, operation in OPERATIONS for status in operation["responses"]}
    assert told <= {"200", "413", *(str(status) for status, _ in TABLE.values())}


def test_document_is_there_while_the_model_loads(connect: ClientOf) -> None:
    """Neither of its forms needs the model."""
    client = connect(Host())
    assert client.get("/health").status_code == 503
    assert client.get("/openapi.json").json() == DOCUMENT
    assert client.head("/openapi.json").status_code == client.head("/docs").status_code == 200
    assert "/v1/chat/completions" in client.get("/docs").text


def test_document_is_assembled_once() -> None:
    """It is made when it is first asked for, and kept."""
    document = Document(routes(Host()))
    assert document.data is document.data


def test_page_tells_every_route_and_schema(client: httpx.Client) -> None:
    """A reader finds each path, field and remedy, and a command to try it with."""
    page = client.get("/docs").text
    for path, _, _ in OPERATIONS:
        assert f"<code>{path}</code>" in page, path
    for name in SCHEMAS:
        assert f'<details id="{name}"' in page
    assert page.count("<details") == page.count("</details>") > len(SCHEMAS)
    links = set(re.findall(r'href="#([^"]+)"', page))
    assert links
    assert links <= set(re.findall(r'id="([^"]+)"', page))
    assert "curl http://test/v1/chat/completions -H &#x27;Content-Type: " in page
    assert "curl -X DELETE &#x27;http://test/v1/responses/{response_id}&#x27;" in page
    assert "send tool_choice" in page
    assert "<code>mirostat</code><td>integer, 0 to 2\n" in page
    assert "<code>messages</code> (required)<td>array of <a href=" in page


def test_page_loads_nothing_and_runs_nothing(client: httpx.Client) -> None:
    """The policy forbids all but the page's own style, whose hash it names."""
    response = client.get("/docs")
    policy = response.headers["Content-Security-Policy"]
    assert re.fullmatch(
        r"default-src 'none'; style-src 'sha256-[\w+/=]{44}'; "
        r"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        policy,
    )
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert not re.search(r"<script|<link|<img|@import|url\(|\son\w+=|\sstyle=", response.text)
    assert re.findall(r"<(?:a|link)\b[^>]*href=\"(?!#)([^\"]+)", response.text) == ["openapi.json"]


def test_text_of_schemas_is_escaped() -> None:
    """What a schema or a client says cannot become a part of the page."""
    evil = '</pre><script>alert("1")</script>'
    schema = Schema("wsgi.native", "tokenize.json")
    content = {**schema.document, "title": evil, "properties": {evil: {"description": evil}}}
    fields = FieldReader(schema, [Refusal(evil, bool, evil)])
    route = Route(
        paths=("/x",), tag=evil, resource=None, operations=counts(evil, fields, "native.tokens")
    )
    document = json.loads(Document([route]).data)
    document["components"]["schemas"]["native.tokenize"] = content
    page = "\n".join(_page(document, f"http://{evil}"))
    assert "alert(" in page
    assert "<script" not in page
    assert page.count("</pre>") == page.count("<pre>")
