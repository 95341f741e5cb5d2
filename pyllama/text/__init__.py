"""Text on both sides of the engine; runs in the caller's thread."""

from pyllama._ext import interrupt
from pyllama.interruption import checkpoint
from pyllama.text.answer import Answer
from pyllama.text.chat import CHAT_OPTIONS, ChatOptions, ChatPrompts
from pyllama.text.codec import TextCodec
from pyllama.text.constraint import Constraint
from pyllama.text.detokenizer import Detokenizer
from pyllama.text.output import OutputFormat
from pyllama.text.prompts import Prompt, TextPrompts
from pyllama.text.reader import AnswerReader, OutputParser
from pyllama.text.stop import StopMatcher

__all__ = [
    "CHAT_OPTIONS",
    "Answer",
    "AnswerReader",
    "ChatOptions",
    "ChatPrompts",
    "Constraint",
    "Detokenizer",
    "OutputFormat",
    "OutputParser",
    "Prompt",
    "StopMatcher",
    "TextCodec",
    "TextPrompts",
]

interrupt.install(checkpoint)
