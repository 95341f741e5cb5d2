"""What is served: ``/api/tags``, ``/api/ps``, ``/api/show`` and ``/api/version``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyllama

from ..body import read_object
from ..fields import FieldReader
from ..validation import Schema
from . import describe
from .names import check_name

if TYPE_CHECKING:
    import falcon

    from ..host import Host

SHOW_FIELDS = FieldReader(Schema(__package__, "show.json"), ())

# The last moment that clients which count nanoseconds since 1970 know: the model is never unloaded.
_NEVER = "2262-04-11T23:47:16.8547758Z"


class Tags:
    """``GET /api/tags``: the models that can be asked, of which there is one."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """List the model."""
        info = self._host.get().info
        facts = describe.file_facts(info)._asdict()
        model = {**describe.listed(info), **facts, "details": describe.details(info)}
        resp.media = {"models": [model]}

    on_head = on_get


class Running:
    """``GET /api/ps``: the models in memory."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """List the model, which is always there."""
        llm = self._host.get()
        model = {
            **describe.listed(llm.info),
            "size": llm.info.size_bytes,
            "digest": describe.file_facts(llm.info).digest,
            "details": describe.details(llm.info),
            "expires_at": _NEVER,
            "context_length": llm.n_ctx,
        }
        resp.media = {"models": [model]}

    on_head = on_get


class Show:
    """``POST /api/show``: what is known of the model."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with template, parameters, abilities and metadata."""
        llm = self._host.get()
        fields = SHOW_FIELDS.read(read_object(req))
        check_name(fields.get("model") or fields.get("name", ""), llm.info)
        facts = describe.file_facts(llm.info)
        arrays = fields.get("verbose", False)
        metadata = llm.card.metadata(arrays=arrays)
        projector = llm.card.projector_metadata(arrays=arrays)
        shown: dict[str, Any] = {
            "modelfile": describe.modelfile(llm),
            "parameters": describe.parameters(llm),
            "template": llm.card.template,
            "details": describe.details(llm.info),
            "model_info": {**metadata, "file": Path(llm.info.path).name, "size": facts.size},
            "capabilities": describe.capabilities(llm),
            "modified_at": facts.modified_at,
        }
        if projector is not None:
            shown["projector_info"] = projector
        if isinstance(metadata.get("general.license"), str):
            shown["license"] = metadata["general.license"]
        resp.media = shown


class Version:
    """``GET /api/version``; clients wait for it before they ask anything else."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer once requests are taken."""
        self._host.get()
        resp.media = {"version": pyllama.__version__}

    on_head = on_get
