"""Fields of OpenAI's responses that ask for another answer than can be given here."""

from __future__ import annotations

from ..fields import Refusal

PROMPT_REFUSALS = (
    Refusal("background", bool, "send the request with stream instead"),
    Refusal("conversation", bool, "go on from an answer with previous_response_id"),
    Refusal("prompt", bool, "send its text in instructions and input"),
)
