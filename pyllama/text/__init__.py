"""Text on both sides of the engine; runs in the caller's thread."""

from pyllama.text.codec import TextCodec
from pyllama.text.detokenizer import Detokenizer
from pyllama.text.prompts import Prompt, PromptBuilder
from pyllama.text.stop import StopMatcher

__all__ = ["Detokenizer", "Prompt", "PromptBuilder", "StopMatcher", "TextCodec"]
