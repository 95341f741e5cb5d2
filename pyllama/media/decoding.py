"""The one place where what a decoder raises becomes a refusal."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyllama.errors import InvalidMedia

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Turn whatever a decoder of strangers' bytes raises into InvalidMedia.

    Args:
        name: the format that is read.
    """
    try:
        yield
    except InvalidMedia:
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise InvalidMedia(f"the {name} cannot be read: {reason}") from error
