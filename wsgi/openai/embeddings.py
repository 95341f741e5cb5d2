"""``POST /v1/embeddings``."""

from __future__ import annotations

import base64
import sys
from array import array
from typing import TYPE_CHECKING, Any

from pyllama.errors import Unsupported

from ..body import read_object
from ..embedding import embed
from ..fields import FieldReader, whole
from ..validation import Schema

if TYPE_CHECKING:
    import falcon

    from ..host import Host

EMBEDDINGS_FIELDS = FieldReader(Schema(__package__, "embeddings.json"), ())


class EmbeddingVectors:
    """What texts mean to the model, as vectors."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with one vector for each input."""
        llm = self._host.get()
        fields = EMBEDDINGS_FIELDS.read(read_object(req))
        if llm.info.pooling == "none":
            raise Unsupported(
                "with --pooling none there are vectors of tokens only; ask POST /embeddings, or "
                "start the server with another --pooling"
            )
        made = embed(
            req,
            llm,
            fields["input"],
            normalize=whole(fields.get("embd_normalize")),
            dimensions=whole(fields.get("dimensions")),
        )
        write = _base64 if fields.get("encoding_format") == "base64" else array.tolist
        resp.media = {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": write(vector)}
                for index, vector in enumerate(made.vectors)
            ],
            "model": llm.info.id,
            "usage": {"prompt_tokens": made.prompt_tokens, "total_tokens": made.prompt_tokens},
        }


def _base64(vector: array[float]) -> Any:
    """Return the numbers as clients expect them: float32, little-endian."""
    if sys.byteorder == "big":
        vector = array("f", vector)
        vector.byteswap()
    return base64.b64encode(vector.tobytes()).decode("ascii")
