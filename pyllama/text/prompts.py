"""Texts to prompts: what a model is asked to continue, and the form of its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest
from pyllama.interruption import checkpoint
from pyllama.text.answer_form import AnswerForm
from pyllama.text.constraint import Constraint
from pyllama.text.output import OutputFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyllama._ext.vocab import Vocab
    from pyllama.sched import MediaSpan
    from pyllama.text.text_limit import TextLimit


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked to continue."""

    tokens: tuple[int, ...]
    """Ids of text, negative numbers where they stand for media."""
    stop: tuple[str, ...] = ()
    """Strings that end an answer under this chat template."""
    constraint: Constraint | None = None
    """What the sampler may produce; None: anything."""
    output: OutputFormat | None = None
    """How the answer's text is read; None: all of it is content."""
    media: tuple[MediaSpan, ...] = ()
    """Where the tokens stand for media, in order."""
    text: str = ""
    """What the template made of a chat: without the tokens that the vocabulary adds around a text,
    and with a mark for each piece of media. Empty where the prompt is no chat."""


class TextPrompts:
    """Tokenises texts; any thread may use it.

    Args:
        vocab: the model's vocabulary.
        limit: refuses texts that cannot fit; None tokenises those of any length.
    """

    def __init__(self, vocab: Vocab, limit: TextLimit | None = None) -> None:
        self._vocab = vocab
        self._limit = limit

    def prompt(
        self,
        prompt: str | Sequence[int],
        *,
        json_schema: Mapping[str, Any] | bool | None = None,
        grammar: str | None = None,
    ) -> Prompt:
        """Tokenise a text, or take token ids as they are.

        Args:
            prompt: the text, or token ids.
            json_schema: what the answer must satisfy as JSON.
            grammar: GBNF that the answer must follow.

        Raises:
            InvalidRequest: the prompt is empty or holds ids outside of the vocabulary; the schema
                or the grammar cannot be used. ContextOverflow: the text is far too long.
        """
        _check_type(prompt)
        checkpoint()
        if isinstance(prompt, str):
            if self._limit is not None:
                self._limit.check(prompt)
            tokens = tuple(self._vocab.tokenize(prompt, add_special=True, parse_special=True))
        else:
            tokens = tuple(prompt)
        self.check(Prompt(tokens))
        form = AnswerForm.of(json_schema, grammar)
        if form is None:
            return Prompt(tokens)
        return Prompt(
            tokens,
            constraint=Constraint(grammar=form.grammar),
            output=OutputFormat(format=0, parser="", schema=form.schema),
        )

    def check(self, prompt: Prompt) -> None:
        """Refuse what the model cannot be asked to continue.

        Raises:
            InvalidRequest: there is no token, or one outside of the vocabulary.
        """
        if not prompt.tokens:
            raise InvalidRequest("prompt must hold at least one token", param="prompt")
        n_vocab = self._vocab.n_tokens
        # PERF: one look at all of them, some 20 times as quick as one at each.
        are_ids = set(map(type, prompt.tokens)) == {int}
        if are_ids and min(prompt.tokens) >= 0 and max(prompt.tokens) < n_vocab:
            return
        shown = {index for span in prompt.media for index in range(span.start, span.end)}
        for index, token in enumerate(prompt.tokens):
            if index in shown:
                continue
            if type(token) is not int or not 0 <= token < n_vocab:
                raise InvalidRequest(
                    f"prompt[{index}] must be a token id below {n_vocab}, not {token!r}",
                    param=f"prompt[{index}]",
                )


def _check_type(prompt: object) -> None:
    if not isinstance(prompt, Sequence) or isinstance(prompt, (bytes, bytearray)):
        raise InvalidRequest("prompt must be a text or a list of token ids", param="prompt")
