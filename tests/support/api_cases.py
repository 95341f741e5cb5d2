"""Requests that schemathesis makes up from the OpenAPI document, kept small, and their answers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode, checks

MODEL = "fake.gguf"
"""A name that the model is to be served by."""
MAX_TOKENS = 3
MAX_ANSWERS = 2
_MAX_ITEMS = 4
_MAX_CHARACTERS = 200
_TOKEN_LIMITS = (
    "max_tokens",
    "max_completion_tokens",
    "n_predict",
    "max_output_tokens",
    "num_predict",
)
_COUNTS = ("n", "n_cmpl", "best_of")
_MODES = (GenerationMode("positive"), GenerationMode("negative"))
_CHECKS = [
    checks.not_a_server_error,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.status_code_conformance,
]


@dataclass(frozen=True, slots=True)
class Plan:
    """How many requests to make up for one operation."""

    n_cases: int
    is_random: bool
    """Whether they are others each time."""

    @classmethod
    def of(cls, config: pytest.Config, n_operations: int, *, least: int) -> Plan:
        """Share what the command line asks for among the operations; ``least`` without it."""
        asked: int = config.getoption("--api-cases")
        return cls(-(-asked // n_operations) if asked else least, is_random=asked > 0)


def operations_with_bodies(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the path and the method of every operation that takes a body, aliases left out.

    So is the one that loads the model anew: one such request takes as long as a thousand others.
    """
    for path, item in document["paths"].items():
        for method, told in item.items():
            is_slow = path == "/api/models/load"
            if "requestBody" in told and "x-alias-of" not in told and not is_slow:
                yield path, method


def try_out(
    document: Mapping[str, Any],
    place: tuple[str, str],
    send: Callable[[Case[Any]], Any],
    plan: Plan,
) -> list[int]:
    """Send made-up requests to one operation and check each answer against the document.

    Half of the bodies are such as the schema does not allow.

    Args:
        document: of the API.
        place: the operation's path and method.
        send: sends a case and returns its answer.
        plan: how many.

    Returns:
        The statuses of the answers.
    """
    path, method = place
    statuses: list[int] = []
    for mode in _MODES:
        allowed = likely(document) if mode is GenerationMode.POSITIVE else dict(document)
        operation = schemathesis.openapi.from_dict(allowed)[path][method.upper()]

        @settings(
            max_examples=max(plan.n_cases // 2, 1),
            derandomize=not plan.is_random,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def try_one(case: Case[Any]) -> None:
            case.body = small(case.body)
            response = send(case)
            statuses.append(response.status_code)
            case.validate_response(response, checks=_CHECKS)

        try_one()
    return statuses


def likely(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document that allows less, so that more of what it allows comes to an answer.

    Where a schema takes any text, made-up text is hardly ever one that means something.
    """
    narrow: dict[str, Any] = copy.deepcopy(dict(document))
    schemas = narrow["components"]["schemas"]
    token, text = {"type": "integer", "minimum": 0, "maximum": 99}, {"type": "string"}
    schemas["openai.completion"]["properties"]["prompt"] = {
        "anyOf": [{**text, "minLength": 1}, {"type": "array", "items": token, "minItems": 1}]
    }
    schemas["native.detokenize"]["properties"]["tokens"]["items"] = token
    generation = schemas["openai.generation"]["properties"]
    generation["samplers"]["items"] = {"enum": ["dry", "min_p", "top_k", "temperature"]}
    for strings in (
        generation["stop"],
        schemas["anthropic.messages"]["properties"]["stop_sequences"],
    ):
        strings["items"] = {**text, "minLength": 1}
    for name in ("anthropic.prompt.block", "openai.message.part"):
        schemas[name]["properties"]["type"] = {"enum": ["text"]}
    schemas["responses.prompt"]["properties"].pop("previous_response_id")
    ollama = schemas["ollama.common"]["properties"]
    ollama["model"] = schemas["ollama.show"]["properties"]["model"] = {"enum": [MODEL]}
    for name in ("ollama.embed", "ollama.embeddings"):
        schemas[name]["properties"]["model"] = {"enum": [MODEL]}
    inputs = {"anyOf": [{**text, "minLength": 1}, {"type": "array", "items": token, "minItems": 1}]}
    schemas["openai.embeddings"]["properties"]["input"] = inputs
    schemas["native.embeddings"]["properties"]["content"] = inputs
    schemas["ollama.options"]["properties"]["stop"]["items"] = {**text, "minLength": 1}
    for name in ("context", "template", "images"):
        schemas["ollama.generate"]["properties"].pop(name)
    schemas["ollama.chat.message"]["properties"].pop("images")
    return narrow


def small(body: Any) -> Any:
    """Return a body whose answer takes little time, and that is still as wrong as it was.

    One that sets no limit to its answer is left without: the server has its own.
    """
    cut = _cut(body)
    if not isinstance(cut, dict):
        return cut
    for name in _COUNTS:
        if isinstance(cut.get(name), (int, float)):
            cut[name] = min(cut[name], MAX_ANSWERS)
    _limit(cut)
    if isinstance(cut.get("options"), dict):
        _limit(cut["options"])
    return cut


def _limit(fields: dict[str, Any]) -> None:
    for name in _TOKEN_LIMITS:
        if isinstance(fields.get(name), (int, float)) and fields[name] >= -1:
            # -1 stands for the end of the context.
            fields[name] = MAX_TOKENS if fields[name] < 0 else min(fields[name], MAX_TOKENS)


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value[:_MAX_CHARACTERS]
    if isinstance(value, list):
        return [_cut(item) for item in value[:_MAX_ITEMS]]
    if isinstance(value, dict):
        return {key: _cut(item) for key, item in value.items()}
    return value
