"""Requests to llama-common as JSON text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pyllama.interruption import Interruptible
from pyllama.text.request_text import request_text


class GoneError(Exception):
    """What the look raises."""


def gone() -> None:
    raise GoneError


@pytest.mark.parametrize("n_parts", [0, 1, 1000, 1001, 2500])
@pytest.mark.parametrize("more", [{}, {"b": "ü"}])
def test_text_is_the_request(n_parts: int, more: dict[str, Any]) -> None:
    """However it is put together, it says what one call would have said."""
    parts = [{"type": "text", "text": f'"{index}'} for index in range(n_parts)]
    messages: list[dict[str, Any]] = [{"role": "user", "content": "x"}, {"content": parts, **more}]
    request = {"messages": messages, **more}
    assert json.loads(request_text(request)) == request


def test_no_messages_are_an_empty_list() -> None:
    """The smallest request is JSON as well."""
    assert json.loads(request_text({"messages": []})) == {"messages": []}


@pytest.mark.parametrize("content", ["x", [{"type": "text", "text": "x"}] * 3000])
def test_writing_can_be_interrupted(content: Any) -> None:
    """Between two messages, and within a long one, there are checkpoints."""
    with pytest.raises(GoneError), Interruptible(gone):
        request_text({"messages": [{"role": "user", "content": content}]})
