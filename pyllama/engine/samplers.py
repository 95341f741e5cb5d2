"""From a request's parameters to the sampler chain that its sequence carries."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pyllama._ext.sampler import Sampler
from pyllama._ext.vocab import Vocab
from pyllama.errors import InvalidRequest, NativeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyllama._ext.model import Model
    from pyllama.params import GenerationParams
    from pyllama.text import Prompt

# What the bridge says where a continued message is none that the grammar takes.
_UNFIT = "the grammar does not take the end of the prompt"


def make_sampler(model: Model, params: GenerationParams, prompt: Prompt, n_ctx: int) -> Sampler:
    """Make the sampler of one sequence, its penalties fed with the prompt. Any thread may call it.

    Raises:
        InvalidRequest: llama.cpp refuses a parameter or the prompt's constraint, or a token of
            ``logit_bias`` does not exist.
    """
    _check_biases(model, params.sampling.logit_bias)
    flat = params.as_dict()
    if prompt.constraint is not None:
        flat["constraint"] = prompt.constraint.as_dict()
    for name in ("repeat_last_n", "dry_penalty_last_n"):
        # -1 means the context, and nothing can look back further.
        flat[name] = n_ctx if flat[name] < 0 else min(flat[name], n_ctx)
    try:
        sampler = Sampler(model, json.dumps(flat))
    except NativeError as error:
        if prompt.constraint is not None and error.detail == _UNFIT:
            raise InvalidRequest(
                "the message to be continued does not begin an answer of the form asked for",
                param="messages",
            ) from error
        raise InvalidRequest(f"the sampling parameters were refused: {error.detail}") from error
    if not sampler.is_greedy:
        n_history = max(flat["repeat_last_n"], flat["dry_penalty_last_n"])
        # What stands for media was not said by anybody.
        tokens = [token for token in prompt.tokens if token >= 0]
        sampler.accept_prompt(tokens[max(len(tokens) - n_history, 0) :])
    return sampler


def _check_biases(model: Model, biases: Sequence[tuple[int, float]]) -> None:
    if not biases:
        return
    n_vocab = Vocab(model).n_tokens
    for token, _ in biases:
        if token >= n_vocab:
            raise InvalidRequest(
                f"logit_bias: {token} is no token of this vocabulary of {n_vocab}",
                param="logit_bias",
            )
