"""Fields of Anthropic's that ask for another answer than can be given here."""

from __future__ import annotations

from ..fields import Refusal

MESSAGES_REFUSALS = (
    Refusal("compaction", bool, "ask for a summary in a message, and send it in place of the rest"),
)
