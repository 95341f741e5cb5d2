"""Bodies of ``/v1/completions`` to prompts and parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest
from pyllama.field_names import one_of

from ..fields import FieldReader
from ..validation import Schema
from .parse import GenerationFields, constraint_options, generation_fields
from .refusals import COMPLETION_REFUSALS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyllama import Llama, Prompt

COMPLETION_FIELDS = FieldReader(Schema(__package__, "completion.json"), COMPLETION_REFUSALS)

_MAX_ANSWERS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest(GenerationFields):
    """A checked body of ``/v1/completions``."""

    prompts: list[str | list[int]]
    best_of: int
    """Answers that are computed for each prompt; the n best are returned."""
    echo: bool
    """Whether each answer begins with its prompt."""
    suffix: str
    """What comes after the answer; empty: nothing."""
    options: Mapping[str, Any]
    """What ``Llama.text_prompt`` is told beside the prompt, by its own names."""

    def make_prompts(self, llm: Llama) -> list[Prompt]:
        """Tokenise the prompts.

        Raises:
            InvalidRequest: one of them is no prompt for this model.
        """
        return [self._make(llm, index) for index in range(len(self.prompts))]

    def _make(self, llm: Llama, index: int) -> Prompt:
        source = self.prompts[index]
        try:
            if self.suffix:
                return llm.infill_prompt(source, self.suffix, **self.options)
            return llm.text_prompt(source, **self.options)
        except InvalidRequest as error:
            if len(self.prompts) == 1 or not (error.param or "").startswith("prompt"):
                raise
            path = f"prompt[{index}]"
            raise InvalidRequest(f"{path}: {error.message}", param=path) from error


def parse_completion(body: Mapping[str, Any], llm: Llama) -> CompletionRequest:
    """Check a body; raises :class:`InvalidRequest` with the path of the field."""
    fields = COMPLETION_FIELDS.read(body)
    logprobs = _logprobs(fields)
    shared = generation_fields(fields, llm, logprobs)
    echo, suffix = fields.get("echo", False), fields.get("suffix", "")
    if echo and suffix:
        raise InvalidRequest("echo and suffix exclude each other; send one of them", param="echo")
    if echo and (logprobs is not None or shared["params"].max_tokens == 0):
        shared["params"] = shared["params"].with_options(prompt_logprobs=logprobs or 0)
    best_of = int(fields.get("best_of", shared["n"]))
    _check_best_of(best_of, shared)
    if best_of > shared["n"] and logprobs is None:
        # By these the best are chosen.
        shared["params"] = shared["params"].with_options(logprobs=0)
    prompts = _prompts(fields["prompt"])
    if len(prompts) * best_of > _MAX_ANSWERS:
        raise InvalidRequest(
            f"prompt asks for {len(prompts) * best_of} answers; send requests of at most "
            f"{_MAX_ANSWERS}",
            param="prompt",
        )
    return CompletionRequest(
        prompts=prompts,
        best_of=best_of,
        echo=echo,
        suffix=suffix,
        options=constraint_options(fields),
        **shared,
    )


def _logprobs(fields: Mapping[str, Any]) -> int | None:
    n_top = one_of(fields, ("logprobs", "n_probs"))
    if n_top is None or ("logprobs" not in fields and n_top == 0):
        return None
    return int(n_top)


def _check_best_of(best_of: int, shared: Mapping[str, Any]) -> None:
    if best_of < shared["n"]:
        raise InvalidRequest(
            f"best_of must be at least n, which is {shared['n']}, not {best_of}", param="best_of"
        )
    if best_of > shared["n"] and shared["stream"]:
        raise InvalidRequest(
            "best_of cannot be streamed: the best answer is known at the end; leave out stream",
            param="best_of",
        )


def _prompts(prompt: str | list[Any]) -> list[str | list[int]]:
    """Return the prompts in a ``prompt`` field, of which each gets its own choices."""
    if isinstance(prompt, str) or _are_token_ids(prompt):
        return [prompt]
    if not all(isinstance(item, str) or _are_token_ids(item) for item in prompt):
        raise InvalidRequest(
            "prompt must be a string, a list of token ids, or a list of these", param="prompt"
        )
    return prompt


def _are_token_ids(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int for item in value)
