"""Prompts to the engine's requests for text: what of them fits, and how it is sampled."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyllama.engine import make_sampler
from pyllama.errors import ContextOverflow, InvalidRequest, Unsupported
from pyllama.sched import Request

if TYPE_CHECKING:
    from pyllama.params import GenerationParams
    from pyllama.settings import Settings
    from pyllama.text import Prompt, TextCodec

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class TextRequests:
    """Makes requests for one loaded model; any thread may use it."""

    codec: TextCodec
    can_generate: bool
    n_ctx: int
    settings: Settings

    def make(self, prompt: Prompt, params: GenerationParams, request_id: str) -> Request:
        """Return the request for the answer to a prompt.

        Raises:
            Unsupported: the model generates no text.
            InvalidRequest: the prompt is empty or holds what is no token of this vocabulary.
            ContextOverflow: the prompt leaves no room for a token.
        """
        if not self.can_generate:
            raise Unsupported("no text is generated: the model or --embedding is for embeddings")
        self.codec.prompts.check(prompt)
        max_tokens = self._max_tokens(prompt, params)
        if self.settings.log_prompts:
            text = self.codec.detokenize(prompt.tokens, special=True)
            logger.info("prompt of %s: %r", request_id, text)
        return Request(
            id=request_id,
            tokens=prompt.tokens,
            media=prompt.media,
            max_tokens=max_tokens,
            arrival_s=time.monotonic(),
            cache_prompt=params.cache_prompt and params.prompt_logprobs is None,
            prompt_logprobs=params.prompt_logprobs,
            # A draft's tokens come without their probabilities.
            may_draft=params.logprobs is None,
            sampler=make_sampler(self.codec.model, params, prompt, self.n_ctx),
        )

    def _max_tokens(self, prompt: Prompt, params: GenerationParams) -> int:
        n_room = self.n_ctx - len(prompt.tokens)
        if n_room < 1:
            raise ContextOverflow(len(prompt.tokens), self.n_ctx)
        max_tokens = n_room if params.max_tokens < 0 else min(params.max_tokens, n_room)
        if max_tokens < 1 and params.prompt_logprobs is None:
            raise InvalidRequest("max_tokens must be at least 1, or -1", param="max_tokens")
        return max_tokens
