"""llama-server's ``/embeddings``: vectors of texts, or with ``--pooling none`` of their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..body import read_object
from ..embedding import embed
from ..fields import FieldReader, whole
from ..validation import Schema

if TYPE_CHECKING:
    import falcon

    from ..host import Host

EMBEDDINGS_FIELDS = FieldReader(Schema(__package__, "embeddings.json"), ())


class EmbeddingRows:
    """What texts, or the tokens of texts, mean to the model."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with a list of rows for each input."""
        llm = self._host.get()
        body = read_object(req)
        name = "content"
        if "content" not in body and "input" in body:
            name, body = "input", {**body, "content": body["input"]}
        fields = EMBEDDINGS_FIELDS.read(body)
        norm = whole(fields.get("embd_normalize"))
        made = embed(req, llm, fields["content"], normalize=norm, param=name)
        resp.media = [
            {"index": index, "embedding": [row.tolist() for row in embedding.rows]}
            for index, embedding in enumerate(made.data)
        ]
