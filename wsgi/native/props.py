"""``GET /props``: what llama-server's clients ask before they show what a model can be sent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pyllama

if TYPE_CHECKING:
    import falcon

    from ..host import Host


class Props:
    """Properties of the server and of its model, by llama-server's names."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer from what is at hand; never waits for the engine."""
        llm = self._host.get()
        info = llm.info
        resp.media = {
            "default_generation_settings": {"n_ctx": llm.n_ctx},
            "total_slots": llm.status().n_slots,
            "model_alias": info.id,
            # Where it lies is nobody's business.
            "model_path": Path(info.path).name,
            # A video is shown as pictures.
            "modalities": {
                "vision": info.has_vision,
                "video": info.has_vision,
                "audio": info.has_audio,
            },
            "endpoint_slots": False,
            "endpoint_props": False,
            "endpoint_metrics": llm.settings.metrics,
            "chat_template": llm.card.template,
            "build_info": f"pyllama {pyllama.__version__}",
        }

    on_head = on_get
