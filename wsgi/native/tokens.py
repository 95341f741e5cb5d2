"""llama-server's ``/tokenize``, ``/detokenize`` and ``/apply-template``: what a model sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyllama.errors import InvalidRequest
from pyllama.interruption import checkpoint

from ..body import read_object
from ..fields import FieldReader
from ..openai.parse_chat import parse_chat
from ..validation import Schema

if TYPE_CHECKING:
    import falcon

    from pyllama import Llama

    from ..host import Host

TOKENIZE_FIELDS = FieldReader(Schema(__package__, "tokenize.json"), ())
DETOKENIZE_FIELDS = FieldReader(Schema(__package__, "detokenize.json"), ())


class Tokenize:
    """``POST /tokenize``: a text to token ids."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the ids, or with ids and pieces."""
        llm = self._host.get()
        fields = TOKENIZE_FIELDS.read(read_object(req))
        tokens: list[Any] = llm.tokenize(
            fields["content"],
            add_special=fields.get("add_special", False),
            parse_special=fields.get("parse_special", True),
        )
        if fields.get("with_pieces"):
            tokens = [_with_piece(token, llm) for token in tokens]
        resp.media = {"tokens": tokens}


class Detokenize:
    """``POST /detokenize``: token ids to their text."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the text, the names of control tokens included."""
        llm = self._host.get()
        tokens = [int(token) for token in DETOKENIZE_FIELDS.read(read_object(req))["tokens"]]
        for index, token in enumerate(tokens):
            if not 0 <= token < llm.info.n_vocab:
                path = f"tokens[{index}]"
                raise InvalidRequest(
                    f"{path} must be a token id below {llm.info.n_vocab}, not {token}", param=path
                )
        resp.media = {"content": llm.detokenize(tokens, special=True)}


class ApplyTemplate:
    """``POST /apply-template``: the body of a chat to the text that the model is given."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the text; nothing is generated."""
        llm = self._host.get()
        resp.media = {"prompt": parse_chat(read_object(req), llm).prompt(llm).text}


def _with_piece(token: int, llm: Llama) -> dict[str, Any]:
    checkpoint()
    return {"id": token, "piece": _piece(llm.piece(token))}


def _piece(piece: bytes) -> str | list[int]:
    """Return a piece as text, or as bytes where it is a part of a character."""
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return list(piece)
