"""Texts that cannot fit, told by their length: to tokenise them would be work for nothing."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from pyllama.errors import ContextOverflow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyllama._ext.vocab import Vocab

# The vocabularies whose tokens spell the text that they are of. The others rewrite a text first,
# which may shorten it without a bound, or have one token for whatever they do not know.
_SPELLING = frozenset({"gpt2", "llama"})
_BLANKS = b" \t\n\v\f\r"
_MAX_BYTES_OF_LETTER = 4
_GAP = "\n\n"


@dataclass(frozen=True, slots=True)
class TextLimit:
    """How much text can fit, whatever its tokens are."""

    n_ctx: int
    """Tokens that a prompt may have."""
    token_bytes: int
    """Bytes of the longest token."""
    lost: bytes = b""
    """Bytes that may become no token at all."""

    @classmethod
    def of(cls, vocab: Vocab, kind: str, pieces: Sequence[bytes], n_ctx: int) -> TextLimit | None:
        """Return the limit of a vocabulary; None where the length of a text says nothing.

        Args:
            vocab: the vocabulary.
            kind: what its file calls its tokeniser.
            pieces: the bytes of its tokens, none for control tokens.
            n_ctx: tokens that a prompt may have.
        """
        if kind not in _SPELLING:
            return None
        controls = {
            token: vocab.piece(token, special=True)
            for token, piece in enumerate(pieces)
            if not piece and vocab.is_control(token)
        }
        token_bytes = max(map(len, (*pieces, *controls.values())), default=0)
        if not token_bytes:
            return None
        known = set(pieces)
        lost = bytes(byte for byte in range(256) if bytes((byte,)) not in known)
        if _are_blanks_lost(vocab, controls):
            lost += _BLANKS
        return cls(n_ctx, token_bytes, lost)

    def check(self, text: str, *, n_max: int | None = None, param: str | None = None) -> None:
        """Refuse a text that has too many tokens however it is tokenised.

        Args:
            text: the text.
            n_max: tokens that it may have, if others than those of a prompt.
            param: path of the field, where it is an input to embed.

        Raises:
            ContextOverflow: it is too long.
        """
        n_max = self.n_ctx if n_max is None else n_max
        if len(text) * _MAX_BYTES_OF_LETTER <= n_max * self.token_bytes:
            return
        data = text.encode("utf-8", "surrogatepass").translate(None, self.lost)
        n_least = -(-len(data) // self.token_bytes)
        if n_least > n_max:
            raise ContextOverflow(n_least, n_max, param=param, is_least=True)


def _are_blanks_lost(vocab: Vocab, controls: dict[int, bytes]) -> bool:
    """Return whether control tokens swallow the blanks around them, as those of some models do."""
    names = [name.decode("utf-8", "replace") for name in controls.values() if name]
    if not names:
        return False
    text = _GAP + _GAP.join(names) + _GAP
    tokens = vocab.tokenize(text, parse_special=True)
    is_control = [True, *(token in controls for token in tokens), True]
    return any(one and other for one, other in pairwise(is_control))
