"""What turns text into tokens and back for one loaded model; any thread may use it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from pyllama.media import MARK, Fetcher, MediaReader
from pyllama.text.chat import ChatPrompts
from pyllama.text.detokenizer import Detokenizer
from pyllama.text.parser import AnswerParser
from pyllama.text.prompts import TextPrompts
from pyllama.text.reader import AnswerReader
from pyllama.text.reasoning import Reasoning
from pyllama.text.stop import StopMatcher
from pyllama.text.text_limit import TextLimit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pyllama._ext.model import Model
    from pyllama._ext.vocab import Vocab
    from pyllama.engine import LoadedModel
    from pyllama.params import GenerationParams
    from pyllama.settings import Settings
    from pyllama.text.chat import ChatOptions
    from pyllama.text.prompts import Prompt

# What llama-server writes in the place of media.


@dataclass(frozen=True, slots=True)
class TextCodec:
    """Template, tokeniser and the table of pieces. Holds the model: it is freed with the last."""

    model: Model
    vocab: Vocab
    prompts: TextPrompts
    chats: ChatPrompts
    media: MediaReader
    pieces: list[bytes]
    limit: TextLimit | None
    """How long a text may be; None where its length says nothing of its tokens."""

    @classmethod
    def of(cls, loaded: LoadedModel, settings: Settings) -> TextCodec:
        """Read the template and the vocabulary of a model."""
        model, vocab = loaded.model, loaded.vocab
        n_whole = min(loaded.limits.n_batch, loaded.limits.n_ubatch)
        fetcher = Fetcher() if settings.media_urls else None
        media = MediaReader(
            vocab,
            loaded.projector,
            n_whole=n_whole,
            n_ctx=loaded.limits.n_ctx_seq,
            fetcher=fetcher,
        )
        pieces = vocab.pieces()
        kind = model.metadata().get("tokenizer.ggml.model", "")
        limit = TextLimit.of(vocab, kind, pieces, loaded.limits.n_ctx_seq)
        prompts, chats = TextPrompts(vocab, limit), _chats(model, vocab, settings)
        return cls(model, vocab, prompts, chats, media, pieces, limit)

    @staticmethod
    def check(model: Model, vocab: Vocab, settings: Settings) -> None:
        """Read the template and the vocabulary of a model, and keep nothing of them."""
        _chats(model, vocab, settings)
        vocab.pieces()

    def chat(self, messages: Sequence[Mapping[str, Any]], options: ChatOptions) -> Prompt:
        """Render a chat and tokenise it, its media too."""
        return self.chats.prompt(messages, options, self.media.begin(), self.limit)

    def detokenize(self, tokens: Iterable[int], *, special: bool) -> str:
        """Return the text of tokens.

        Args:
            tokens: ids of text, and numbers that stand for media.
            special: write out control tokens, and a mark for each piece of media.
        """
        texts = []
        for key, run in groupby(tokens, key=lambda token: min(token, 0)):
            if key == 0:
                texts.append(self.vocab.detokenize(list(run), special=special))
            elif special:
                texts.append(MARK.encode())
        return b"".join(texts).decode("utf-8", "replace")

    def reader(self, prompt: Prompt, params: GenerationParams) -> AnswerReader:
        """Return what reads one answer to a prompt."""
        stops = StopMatcher((*params.stop, *prompt.stop))
        if prompt.output is None:
            return AnswerReader(Detokenizer(self.pieces), stops)
        preserved = {
            token: self.vocab.piece(token, special=True) for token in prompt.output.preserved_tokens
        }
        detokenizer = Detokenizer(self.pieces, preserved)
        return AnswerReader(detokenizer, stops, AnswerParser(prompt.output))


def _chats(model: Model, vocab: Vocab, settings: Settings) -> ChatPrompts:
    return ChatPrompts(
        model,
        vocab,
        template=settings.chat_template,
        use_jinja=settings.use_jinja,
        template_kwargs=settings.template_kwargs,
        reasoning=Reasoning(
            format=settings.reasoning_format,
            budget=settings.reasoning_budget,
            message=settings.reasoning_budget_message,
        ),
    )
