"""``GET /v1/models`` and ``GET /v1/models/{id}``: the one model that is served."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import falcon

if TYPE_CHECKING:
    from pyllama import Llama

    from ..host import Host


class Models:
    """The list of models, and one of it."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """List the model."""
        resp.media = {"object": "list", "data": [_model(self._host.get())]}

    def on_get_one(self, _req: falcon.Request, resp: falcon.Response, model_id: str) -> None:
        """Show the model, if it is the one that is asked for."""
        llm = self._host.get()
        if model_id != llm.info.id:
            raise falcon.HTTPNotFound(
                description=f"there is no such model; the one served is {llm.info.id!r}"
            )
        resp.media = _model(llm)

    on_head = on_get
    on_head_one = on_get_one


def _model(llm: Llama) -> dict[str, Any]:
    info = llm.info
    return {
        "id": info.id,
        "object": "model",
        "created": info.created,
        "owned_by": "pyllama",
        "meta": {
            "n_ctx": llm.n_ctx,
            "n_ctx_train": info.n_ctx_train,
            "n_embd": info.n_embd,
            "n_params": info.n_params,
            "n_vocab": info.n_vocab,
            "size": info.size_bytes,
        },
        # Beside text, in the words of llama-server's properties.
        "modalities": {"vision": info.has_vision, "audio": info.has_audio},
    }
