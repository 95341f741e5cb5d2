"""``POST /api/embed``, and ``POST /api/embeddings`` that came before it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pyllama.errors import Unsupported

from ..body import read_object
from ..embedding import embed
from ..fields import FieldReader, whole
from ..validation import Schema
from .parse import read, shared

if TYPE_CHECKING:
    import falcon

    from pyllama import Embeddings, Llama

    from ..host import Host

EMBED_FIELDS = FieldReader(Schema(__package__, "embed.json"), ())
EMBEDDINGS_FIELDS = FieldReader(Schema(__package__, "embeddings.json"), ())


class Embed:
    """Vectors of some texts."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with a vector for each text; without a text with none, as a sign of life."""
        start_s = time.perf_counter()
        llm = self._host.get()
        fields = _fields(EMBED_FIELDS, req, llm)
        vectors: list[list[float]] = []
        n_tokens = 0
        if "input" in fields:
            made = _embed(req, llm, fields, "input")
            vectors = [vector.tolist() for vector in made.vectors]
            n_tokens = made.prompt_tokens
        resp.media = {
            "model": fields["model"],
            "embeddings": vectors,
            "total_duration": round(1e9 * (time.perf_counter() - start_s)),
            # The model is loaded before it is asked.
            "load_duration": 0,
            "prompt_eval_count": n_tokens,
        }


class SingleEmbedding:
    """The vector of one text."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the vector; without a text with an empty one."""
        llm = self._host.get()
        fields = _fields(EMBEDDINGS_FIELDS, req, llm)
        vector: list[float] = []
        if "prompt" in fields:
            vector = _embed(req, llm, fields, "prompt").vectors[0].tolist()
        resp.media = {"embedding": vector}


def _fields(reader: FieldReader, req: falcon.Request, llm: Llama) -> dict[str, Any]:
    """Return the fields of a body; its options and the model's name are right."""
    fields = read(reader, read_object(req))
    shared(fields, llm, is_load=False)
    return fields


def _embed(req: falcon.Request, llm: Llama, fields: dict[str, Any], name: str) -> Embeddings:
    if llm.info.pooling == "none":
        raise Unsupported("with --pooling none there are vectors of tokens only")
    return embed(
        req,
        llm,
        fields[name],
        dimensions=whole(fields.get("dimensions")),
        # What is too long is cut here unless the client forbids it.
        truncate=fields.get("truncate", True),
        param=name,
    )
