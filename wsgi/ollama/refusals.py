"""Fields of Ollama's that ask for another answer than can be given here."""

from __future__ import annotations

from ..fields import Refusal

OPTION_REFUSALS = (
    # Newlines are penalised as all tokens are.
    Refusal("penalize_newline", lambda value: value is not True, "leave it out"),
    Refusal("tfs_z", lambda value: value != 1, "leave it out"),
)

GENERATE_REFUSALS = tuple(
    Refusal(name, bool, "this server makes no pictures; leave it out")
    for name in ("width", "height", "steps")
)
