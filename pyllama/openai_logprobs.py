"""Log probabilities in OpenAI's two forms: that of chats, and the older one of text completions."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyllama.results import TokenLogprobs

_LEAST = -9999.0
"""What stands for minus infinity, which JSON does not have."""


class ChatLogprobs:
    """Writes the ``logprobs`` of chat choices.

    Args:
        piece: gives a token's bytes.
    """

    def __init__(self, piece: Callable[[int], bytes]) -> None:
        self._piece = piece

    def write(self, logprobs: Sequence[TokenLogprobs]) -> dict[str, Any]:
        """Return the object for some tokens."""
        content = [
            {
                **self._entry(item.token, item.logprob),
                "top_logprobs": [self._entry(token, logprob) for token, logprob in item.top],
            }
            for item in logprobs
        ]
        return {"content": content, "refusal": None}

    def _entry(self, token: int, logprob: float) -> dict[str, Any]:
        piece = self._piece(token)
        return {
            "id": token,
            "token": piece.decode("utf-8", "replace"),
            "bytes": list(piece),
            "logprob": max(logprob, _LEAST),
        }


class TextLogprobs:
    """Writes the ``logprobs`` of one text choice, whole or piece by piece.

    Args:
        piece: gives a token's bytes.
    """

    def __init__(self, piece: Callable[[int], bytes]) -> None:
        self._piece = piece
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._n_characters = 0

    def prompt(
        self, text: str, tokens: Sequence[int], logprobs: Sequence[TokenLogprobs]
    ) -> dict[str, Any]:
        """Return the object for a prompt, whose first token nothing could foretell.

        Args:
            text: the prompt as the choice has it.
            tokens: its tokens.
            logprobs: those of all tokens but the first.
        """
        # A space or a BOS that the tokeniser put before the text is at its beginning, not in it.
        before = b"".join(map(self._piece, tokens)).decode("utf-8", "replace")
        self._n_characters = len(text) - len(before)
        first: dict[str, Any] = {
            "tokens": [self._text(tokens[0])],
            "token_logprobs": [None],
            "top_logprobs": [None],
            "text_offset": [self._offset(tokens[0])],
        }
        return joined(first, self.write(logprobs))

    def write(self, logprobs: Sequence[TokenLogprobs]) -> dict[str, Any]:
        """Return the object for the next tokens."""
        return {
            "tokens": [self._text(item.token) for item in logprobs],
            "token_logprobs": [max(item.logprob, _LEAST) for item in logprobs],
            # The token itself is always among the likeliest that are listed.
            "top_logprobs": [
                {
                    self._text(token): max(logprob, _LEAST)
                    for token, logprob in (*item.top, (item.token, item.logprob))
                }
                for item in logprobs
            ],
            "text_offset": [self._offset(item.token) for item in logprobs],
        }

    def _text(self, token: int) -> str:
        piece = self._piece(token)
        try:
            return piece.decode()
        except UnicodeDecodeError:
            # OpenAI's spelling of a part of a character: different parts stay different.
            return "bytes:" + "".join(f"\\x{byte:02x}" for byte in piece)

    def _offset(self, token: int) -> int:
        offset = self._n_characters
        self._n_characters += len(self._decoder.decode(self._piece(token)))
        return max(offset, 0)


def joined(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return the object for the tokens of one and then of the other."""
    return {name: first[name] + second[name] for name in first}
