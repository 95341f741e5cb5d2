"""Ids of what is answered: a prefix that says what it is, and enough chance to be unique."""

from __future__ import annotations

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits
_N_RANDOM = 32


def random_id(prefix: str) -> str:
    """Return a prefix such as ``msg_`` and 32 letters and digits."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_N_RANDOM))
