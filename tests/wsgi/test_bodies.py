"""Bodies that are wrong: each a clean 400 that names the field, and the next request works."""

from __future__ import annotations

import io
from typing import Any

import falcon
import httpx
import pytest
from falcon.testing import create_environ
from jsonschema import Draft202012Validator

from pyllama.errors import InvalidRequest
from wsgi import body, validation
from wsgi.validation import Schema

URL = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "Hi"}]


def error(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 400
    details: dict[str, Any] = response.json()["error"]
    assert details["type"] == "invalid_request_error"
    assert details["code"] == 400
    return details


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"\xff\xfe",
        b'{"messages": "\xc3("}',
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"temperature": NaN}',
        b'{"temperature": 1e999}',
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
    ids=range(12),
)
def test_body_that_is_no_json_object_is_refused(client: httpx.Client, content: bytes) -> None:
    """Whatever the bytes are, the answer is 400 and the next request works."""
    message = error(client.post(URL, content=content))["message"]
    assert message.startswith("the request body")
    assert client.post(URL, json={"messages": MESSAGES}).status_code == 200


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_content_type_is_not_looked_at(client: httpx.Client, content_type: str | None) -> None:
    """JSON is read under any content type."""
    headers = {"Content-Type": content_type} if content_type else {}
    content = b'{"messages": [{"role": "user", "content": "Hi"}]}'
    assert client.post(URL, content=content, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"messages": None}, "messages", "is missing"),
        ({"messages": "Hi"}, "messages", "must be a list, not a string"),
        ({"messages": []}, "messages", "must not be empty"),
        ({"messages": ["Hi"]}, "messages[0]", "must be an object, not a string"),
        ({"messages": [{"content": "Hi"}]}, "messages[0].role", "is missing"),
        ({"messages": [*MESSAGES, {"role": "king"}]}, "messages[1].role", "not 'king'"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "is missing"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content", "not null"),
        (
            {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
            "is missing",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0].image_url",
            "is missing",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "file"}]}]},
            "messages[0].content[0]",
            "'file' are not supported",
        ),
        ({"stream": "yes"}, "stream", "must be true or false, not a string"),
        ({"temperature": "hot"}, "temperature", "must be a number"),
        ({"temperature": True}, "temperature", "must be a number, not a boolean"),
        ({"top-p": 1.5}, "top_p", "must be at most 1, not 1.5"),
        ({"top_k": 1e30}, "top_k", "must be at most 2147483647"),
        ({"top_k": 1.5}, "top_k", "must be an integer, not a number"),
        ({"repeat_penalty": 0}, "repeat_penalty", "must be above 0"),
        ({"max_tokens": -2}, "max_tokens", "must be at least -1"),
        ({"seed": 2**32}, "seed", "must be at most"),
        ({"stop": [""]}, "stop", "must not be empty"),
        ({"stop": ["a", 1]}, "stop[1]", "must be a string, not an integer"),
        ({"stop": {}}, "stop", "must be a string or a list, not an object"),
        ({"stream_options": 1}, "stream_options", "must be an object"),
        ({"chat_template_kwargs": []}, "chat_template_kwargs", "must be an object"),
        ({"top_p": 0.5, "top-p": 0.6}, "top_p", "given twice"),
    ],
)
def test_wrong_field_is_named(
    client: httpx.Client, fields: dict[str, Any], param: str, words: str
) -> None:
    """A wrong value is refused with its path, the fault, and the field's name."""
    details = error(client.post(URL, json={"messages": MESSAGES, **fields}))
    assert details["param"] == param
    assert words in details["message"]


def test_long_values_are_not_echoed(client: httpx.Client) -> None:
    """A message stays short however long the value is."""
    details = error(client.post(URL, json={"messages": [{"role": "x" * 10_000, "content": ""}]}))
    assert len(details["message"]) < 300


def test_body_over_the_limit_is_413(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that is too long is refused before it is read."""
    monkeypatch.setattr(body.read_object, "__kwdefaults__", {"limit": 10})
    response = client.post(URL, json={"messages": MESSAGES})
    assert response.status_code == 413
    message = response.json()["error"]["message"]
    assert message == (
        "the request body has more than 10 bytes; shorten it, or send fewer or smaller files"
    )


def nested(n_levels: int) -> dict[str, Any]:
    """Return objects in each other, lists among them."""
    value: dict[str, Any] = {}
    for level in range(n_levels - 1):
        value = {"a": value} if level % 2 else {"a": 1, "b": [], "c": value}
    return value


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/responses", {"input": "Hi"}),
        ("/v1/messages", {"messages": MESSAGES, "max_tokens": 5}),
        (URL, {"messages": MESSAGES}),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_deep_nesting_is_refused_or_written_again(
    client: httpx.Client, path: str, fields: dict[str, Any], *, stream: bool
) -> None:
    """What is accepted can be repeated in an answer, and one level more is refused."""
    deep = nested(body.MAX_DEPTH - 1)
    response = client.post(path, json={**fields, "stream": stream, "metadata": deep})
    assert response.status_code == 200
    assert "error" not in response.text.replace('"error":null', "")
    response = client.post(path, json={**fields, "stream": stream, "metadata": {"a": deep}})
    assert response.status_code == 400
    assert "200 levels" in response.text


def test_many_brackets_are_no_depth(client: httpx.Client) -> None:
    """A long conversation is not a deep one, nor is a text of brackets."""
    many = [{"role": "user", "content": "[" * 300}] * 300
    assert client.post(URL, json={"messages": many}).status_code == 200


def request(content: bytes, **environ: Any) -> falcon.Request:
    env = create_environ(method="POST", body="")
    env["wsgi.input"] = io.BytesIO(content)
    return falcon.Request({**env, **environ})


def test_chunked_body_is_read_up_to_the_limit() -> None:
    """A body whose length is unknown is bounded as well."""
    chunked = {"wsgi.input_terminated": True}
    assert body.read_object(request(b'{"a": 1}', **chunked), limit=8) == {"a": 1}
    with pytest.raises(falcon.HTTPContentTooLarge):
        body.read_object(request(b'{"a": 12}', **chunked), limit=8)


def test_body_without_a_length_is_empty() -> None:
    """Where a server does not end its input, nothing is read: it could block for ever."""
    with pytest.raises(InvalidRequest, match="is empty"):
        body.read_object(request(b'{"a": 1}'))


def test_body_that_was_cut_short_is_refused() -> None:
    """A client that broke off is not served with half of what it meant."""
    with pytest.raises(InvalidRequest, match="shorter than its Content-Length"):
        body.read_object(request(b'{"a": 1}', CONTENT_LENGTH="9"))


def test_body_that_the_server_cannot_parse_is_refused() -> None:
    """A malformed chunk is the client's fault, whatever the server raises for it."""
    broken = request(b"", CONTENT_LENGTH="9")
    broken.env["wsgi.input"].close()
    with pytest.raises(InvalidRequest, match="could not be read"):
        body.read_object(broken)


def test_limit_is_64_mib() -> None:
    """As docs/serving.md and docs/media.md tell."""
    assert body.MAX_BODY_BYTES == 64 * 1024 * 1024


def test_a_body_of_very_many_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before they become objects, each many times as large as its letters."""
    many = b'{"a": [' + b"{}," * 10 + b"{}]}"
    size = {"CONTENT_LENGTH": str(len(many))}
    monkeypatch.setattr(body, "MAX_MARKS", 23)
    assert len(body.read_object(request(many, **size))["a"]) == 11
    monkeypatch.setattr(body, "MAX_MARKS", 22)
    with pytest.raises(InvalidRequest, match="more than 22 commas and brackets"):
        body.read_object(request(many, **size))


def test_remedy_is_the_fields_description() -> None:
    """A message ends with what the schema says about the field."""
    schema = Schema("wsgi.openai", "completion.json")
    with pytest.raises(InvalidRequest, match="prompt is missing; send a string"):
        schema.check({})


def test_other_keywords_are_explained_too() -> None:
    """A schema may use any keyword; the message then names it."""
    (error,) = Draft202012Validator({"multipleOf": 2}).iter_errors(3)
    assert validation._fault(error) == "does not satisfy multipleOf 2"


def test_what_only_the_quick_validator_refuses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody can say what is wrong, the message has its path, as the quick one found it."""
    schema = Schema("wsgi.openai", "chat.json")
    monkeypatch.setattr(schema, "_validator", Draft202012Validator({}))
    with pytest.raises(InvalidRequest, match="not as the schema says") as caught:
        schema.check({"messages": [{"role": "user", "content": "a"}, {"role": 5}]})
    assert caught.value.param == "messages[1].role"
    with pytest.raises(InvalidRequest, match="the body is not as the schema says"):
        schema.check({})


def test_what_lies_outside_of_the_path_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that needs the other items of a list to be seen is found in the whole body."""
    schema = Schema("wsgi.openai", "chat.json")
    other = {"properties": {"messages": {"maxItems": 1}}}
    monkeypatch.setattr(schema, "_validator", Draft202012Validator(other))
    with pytest.raises(InvalidRequest, match="messages does not satisfy maxItems 1") as caught:
        schema.check({"messages": [{"role": "user", "content": "a"}, {"role": 5}]})
    assert caught.value.param == "messages"


def test_path_has_brackets_and_dots() -> None:
    """Paths are written as in JavaScript."""
    assert validation.json_path(["a", 0, "b", 1]) == "a[0].b[1]"
