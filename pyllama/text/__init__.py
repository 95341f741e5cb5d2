"""Text on both sides of the engine; runs in the caller's thread."""

from pyllama.text.answer import Answer
from pyllama.text.codec import TextCodec
from pyllama.text.detokenizer import Detokenizer
from pyllama.text.prompts import Prompt, PromptBuilder
from pyllama.text.reader import AnswerReader, OutputParser
from pyllama.text.stop import StopMatcher

__all__ = [
    "Answer",
    "AnswerReader",
    "Detokenizer",
    "OutputParser",
    "Prompt",
    "PromptBuilder",
    "StopMatcher",
    "TextCodec",
]
