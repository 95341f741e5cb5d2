"""What turns text into tokens and back for one loaded model; any thread may use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyllama.text.detokenizer import Detokenizer
from pyllama.text.prompts import PromptBuilder
from pyllama.text.reader import AnswerReader
from pyllama.text.stop import StopMatcher

if TYPE_CHECKING:
    from pyllama._ext.model import Model
    from pyllama._ext.vocab import Vocab
    from pyllama.params import GenerationParams
    from pyllama.settings import Settings
    from pyllama.text.prompts import Prompt


@dataclass(frozen=True, slots=True)
class TextCodec:
    """Template, tokeniser and the table of pieces. Holds the model: it is freed with the last."""

    model: Model
    vocab: Vocab
    prompts: PromptBuilder
    pieces: list[bytes]

    @classmethod
    def of(cls, model: Model, vocab: Vocab, settings: Settings) -> TextCodec:
        """Read the template and the vocabulary of a model."""
        prompts = PromptBuilder(
            model,
            vocab,
            template=settings.chat_template,
            use_jinja=settings.use_jinja,
            template_kwargs=settings.template_kwargs,
        )
        return cls(model, vocab, prompts, vocab.pieces())

    def reader(self, prompt: Prompt, params: GenerationParams) -> AnswerReader:
        """Return what reads one answer to a prompt."""
        stops = StopMatcher((*params.stop, *prompt.stop))
        return AnswerReader(Detokenizer(self.pieces), stops)
