"""Token ids to text as they come, never half a UTF-8 character."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Detokenizer:
    """Turns a stream of tokens into text.

    A token may hold a part of a character. Its bytes wait until the rest has come; bytes that
    can be no UTF-8 become U+FFFD.

    Args:
        pieces: bytes of each token id, shape (n_vocab,); control tokens have none.
        preserved: bytes of the control tokens whose text counts, by id.
    """

    __slots__ = ("_decoder", "_pieces", "_preserved")

    def __init__(
        self, pieces: Sequence[bytes], preserved: Mapping[int, bytes] | None = None
    ) -> None:
        self._pieces = pieces
        self._preserved = preserved or {}
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def is_partial(self) -> bool:
        """Whether bytes wait for the rest of their character."""
        return bool(self._decoder.getstate()[0])

    def feed(self, tokens: Iterable[int]) -> str:
        """Return the text that these tokens complete."""
        pieces = [self._preserved.get(token) or self._pieces[token] for token in tokens]
        return self._decoder.decode(b"".join(pieces))
