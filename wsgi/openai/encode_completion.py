"""Answers to ``text_completion`` objects and chunks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from pyllama.openai_logprobs import TextLogprobs, joined
from pyllama.openai_objects import text_choice

from .encode import OpenAIEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyllama import Llama, Prompt
    from pyllama.generations import Generations
    from pyllama.results import Completion, Delta, TokenLogprobs

    from .parse_completion import CompletionRequest


class CompletionEncoder(OpenAIEncoder):
    """Encodes the answers of ``/v1/completions``.

    Args:
        llm: the model that answers.
        request: what is asked for.
        prompts: the request's prompts; each has ``best_of`` answers, one after the other.
        generations: the answers in the making.
    """

    def __init__(
        self,
        llm: Llama,
        request: CompletionRequest,
        prompts: Sequence[Prompt],
        generations: Generations,
    ) -> None:
        super().__init__(
            llm,
            request,
            generations,
            whole_kind="text_completion",
            chunk_kind="text_completion",
        )
        self._request = request
        self._prompts = prompts
        self._echoes = _echoes(llm, request, prompts) if request.echo else None
        n_answers = len(prompts) * request.best_of
        self._logprobs = [TextLogprobs(llm.piece) for _ in range(n_answers)]
        self._begun: set[int] = set()

    def whole(self, completions: Sequence[Completion]) -> dict[str, Any]:
        """Return the best answers to each prompt, in the order of the prompts."""
        n, best_of = self._request.n, self._request.best_of
        choices = []
        for first in range(0, len(completions), best_of):
            places = list(range(first, first + best_of))
            if best_of > n:
                places.sort(key=lambda place: -_mean_logprob(completions[place]))
            choices += [self._whole_choice(place, completions[place]) for place in places[:n]]
        for index, choice in enumerate(choices):
            choice["index"] = index
        return self._object(choices)

    def begin(self) -> None:
        """Return nothing: the first chunk has text."""

    def delta(self, index: int, delta: Delta) -> bytes | None:
        """Return the chunks with a piece of an answer."""
        choices = []
        if index not in self._begun:
            self._begun.add(index)
            choices += self._opening(index)
        reason = delta.finish_reason
        logprobs = self._write(index, delta.logprobs) if delta.logprobs else None
        if delta.text:
            choices.append(text_choice(index, delta.text, logprobs))
            logprobs = None
        return self._chunks(choices, text_choice(index, "", logprobs, reason) if reason else None)

    def _whole_choice(self, place: int, completion: Completion) -> dict[str, Any]:
        text, before = self._echo(place, completion.prompt_logprobs)
        logprobs = self._write(place, completion.logprobs)
        if before is not None and logprobs is not None:
            logprobs = joined(before, logprobs)
        return text_choice(place, text + completion.text, logprobs, completion.finish_reason)

    def _opening(self, index: int) -> list[dict[str, Any]]:
        """Return the chunk with the prompt, where the answer begins with it."""
        if self._echoes is None:
            return []
        answer = self._generations.generations[index]
        return [text_choice(index, *self._echo(index, answer.prompt_logprobs))]

    def _echo(
        self, place: int, logprobs: Sequence[TokenLogprobs]
    ) -> tuple[str, dict[str, Any] | None]:
        """Return what comes before an answer, and its log probabilities if they are wanted."""
        if self._echoes is None:
            return "", None
        number = place // self._request.best_of
        text = self._echoes[number]
        if self._request.logprobs is None:
            return text, None
        tokens = self._prompts[number].tokens
        return text, self._logprobs[place].prompt(text, tokens, logprobs)

    def _write(self, place: int, logprobs: Sequence[TokenLogprobs]) -> dict[str, Any] | None:
        return None if self._request.logprobs is None else self._logprobs[place].write(logprobs)


def _echoes(llm: Llama, request: CompletionRequest, prompts: Sequence[Prompt]) -> list[str]:
    return [
        source if isinstance(source, str) else llm.detokenize(prompt.tokens, special=True)
        for source, prompt in zip(request.prompts, prompts, strict=True)
    ]


def _mean_logprob(completion: Completion) -> float:
    logprobs = [item.logprob for item in completion.logprobs]
    # An answer that ended at once is never the best.
    return sum(logprobs) / len(logprobs) if logprobs else -math.inf
