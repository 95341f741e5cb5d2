"""The public clients put a stream together; what they get is the answer that comes whole."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx2
import openai
import pytest

from pyllama.results import ToolCallDelta
from pyllama.text.output import OutputDelta
from tests.support.fake_llama import FakeLlama
from wsgi.factory import create_app
from wsgi.host import Host


def call(index: int, name: str, arguments: str) -> OutputDelta:
    """A piece of a tool call; only the first piece has an id and a name."""
    piece = ToolCallDelta(
        index=index, id=f"call_{index}" if name else "", name=name, arguments=arguments
    )
    return OutputDelta(tool_calls=(piece,))


SCRIPTS: dict[str, list[Any]] = {
    "text": ["Hel", "lo"],
    "nothing": [""],
    "reasoning": [OutputDelta(reasoning="hm"), OutputDelta(reasoning="m", content="So"), "."],
    "never ending thought": [OutputDelta(reasoning="hm"), OutputDelta(reasoning="mm")],
    "call": [call(0, "weather", ""), call(0, "", '{"city": '), call(0, "", '"Rome"}')],
    "call in its middle": [call(0, "weather", '{"city": "Rome", "day": "Mo')],
    "call without arguments": [call(0, "now", "")],
    "everything": [
        OutputDelta(reasoning="hm"),
        "Let me look.",
        OutputDelta(content=" ", tool_calls=call(0, "weather", "{").tool_calls),
        call(0, "", '"city": "Rome"}'),
        call(1, "weather", '{"city": "Oslo"}'),
    ],
    "text after a call": [
        call(0, "weather", '{"city": "Ro'),
        OutputDelta(content="Well", tool_calls=call(0, "", 'me"}').tool_calls),
        "!",
    ],
}
LIMITS = {"cut": True, "whole": False}


def transport(script: list[Any]) -> httpx2.Client:
    """Return a connection to a server whose model plays a script."""
    app: Any = create_app(Host(FakeLlama(script)))  # type: ignore[arg-type]
    return httpx2.Client(transport=httpx2.WSGITransport(app=app))


@pytest.mark.parametrize("is_cut", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_anthropics_client_folds_to_the_whole_message(script: list[Any], *, is_cut: bool) -> None:
    """Blocks, stop reason and usage are equal, whatever the answer holds and where it ends."""
    request: Any = {
        "model": "any",
        "max_tokens": len(script) if is_cut else 100,
        "messages": [{"role": "user", "content": "Hi"}],
    }
    with (
        transport(script) as connection,
        anthropic.Anthropic(api_key="x", base_url="http://test", http_client=connection) as client,
    ):
        whole = client.messages.create(**request)
        with client.messages.stream(**request) as stream:
            streamed = stream.get_final_message()
    assert streamed.id != whole.id
    same: Any = {"exclude": {"id"}, "exclude_none": True}
    assert streamed.model_dump(**same) == whole.model_dump(**same)


@pytest.mark.parametrize("is_cut", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_openais_client_folds_to_the_whole_response(script: list[Any], *, is_cut: bool) -> None:
    """The client accepts every event, and the last has what comes whole without a stream."""
    limit = len(script) if is_cut else 100
    request: Any = {"model": "any", "input": "Hi", "max_output_tokens": limit}
    with (
        transport(script) as connection,
        openai.OpenAI(api_key="x", base_url="http://test/v1", http_client=connection) as client,
    ):
        whole = client.responses.create(**request)
        with client.responses.stream(**request) as stream:
            events = list(stream)
    texts = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert texts == whole.output_text
    last: Any = events[-1]
    assert last.type == f"response.{whole.status}"
    assert unnamed(last.response) == unnamed(whole)


def unnamed(response: Any) -> Any:
    """Return all of a response that another to the same request shares."""
    members = response.model_dump(exclude={"id", "created_at"})
    for item in members["output"]:
        del item["id"]
        # What the client's own parser adds.
        item.pop("parsed_arguments", None)
        for part in item.get("content") or []:
            part.pop("parsed", None)
    return members
