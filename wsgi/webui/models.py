"""``/api/models``: the model that is served, and how to load it anew."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyllama import hub
from pyllama.errors import InvalidRequest, Unsupported

from ..body import read_object
from ..fields import FieldReader
from ..ollama.names import check_name
from ..validation import Schema
from .parse import recommended

if TYPE_CHECKING:
    import falcon

    from pyllama import Llama

    from ..host import Host

LOAD_FIELDS = FieldReader(Schema(__package__, "load.json"), ())

# Options that choose devices: with one of them the first device need not be the one that computes.
_DEVICE_OPTIONS = {
    *("--device", "-dev", "--gpu-layers", "--n-gpu-layers", "-ngl", "--split-mode", "-sm"),
    *("--main-gpu", "-mg", "--tensor-split", "-ts", "--rpc"),
}


class ModelList:
    """``GET /api/models``: what there is, also while it loads."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer from what is at hand."""
        llm = self._host.current
        file = None if llm is None else _file(llm)
        projector = None if llm is None else _projector(llm)
        backends = () if llm is None else llm.devices
        resp.media = {
            "models": [file] if file else [],
            "mmProjModels": [] if projector is None else [projector],
            "loaded": file,
            "loadedMmProj": projector,
            "modalities": None if llm is None else _modalities(llm),
            "loadedBackend": None if llm is None else _backend(llm),
            "defaultBackend": backends[0] if backends else None,
            "supportedBackends": [{"value": name, "label": name} for name in backends],
            "architecture": None if llm is None else llm.info.architecture,
            "defaultMaxTokens": None if llm is None else llm.defaults.max_tokens,
            "contextLimit": None if llm is None else llm.n_ctx,
            "recommended": None if llm is None else recommended(llm),
            "state": self._host.state,
        }

    on_head = on_get


class ModelLoad:
    """``POST /api/models/load``: the same model again, say after its file was replaced."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Let the running requests end, load, and answer once that is done."""
        fields = LOAD_FIELDS.read(read_object(req))
        # After a load that failed, the former model still says what can be asked for.
        llm = self._host.latest or self._host.get()
        _check(fields, llm)
        # Before the model is given up for it.
        hub.check_gguf(Path(llm.info.path))
        loaded = self._host.reload(llm.settings.drain_s)
        info = loaded.info
        resp.media = {
            "ok": True,
            "model": Path(info.path).name,
            "loadedMmProj": _projector(loaded),
            "architecture": info.architecture,
        }


def _check(fields: dict[str, Any], llm: Llama) -> None:
    """Refuse what would have to be another model, device or projector."""
    backend, mmproj = fields.get("backend", ""), fields.get("mmproj")
    loaded = _backend(llm)
    if backend and (loaded is None or backend.lower() != loaded.lower()):
        raise InvalidRequest(
            f"backend {backend[:80]!r} is not the one that this server computes on; restart it "
            "with --device to change that",
            param="backend",
        )
    check_name(fields["model"], llm.info)
    if mmproj is not None:
        _check_projector(mmproj, llm)


def _check_projector(mmproj: str, llm: Llama) -> None:
    """Refuse another projector than the one that is loaded, by its name or as it was named."""
    loaded = _projector(llm)
    if loaded is None:
        if mmproj not in {"", "none"}:
            raise Unsupported(
                f"mmproj {mmproj[:80]!r}: this server has no projector; leave it out, or restart "
                "the server with --mmproj",
                param="mmproj",
            )
    elif mmproj not in {loaded, llm.settings.mmproj}:
        raise Unsupported(
            f"mmproj {mmproj[:80]!r} is not the projector of this server, {loaded!r}; restart it "
            "with another --mmproj, or without",
            param="mmproj",
        )


def _file(llm: Llama) -> str:
    return Path(llm.info.path).name


def _projector(llm: Llama) -> str | None:
    """Return the name of the projector's file, or the last part of the reference that names it."""
    mmproj = llm.settings.mmproj
    return None if mmproj is None else re.split(r"[/\\:]", mmproj)[-1]


def _modalities(llm: Llama) -> dict[str, bool]:
    return {"vision": llm.info.has_vision, "audio": llm.info.has_audio}


def _backend(llm: Llama) -> str | None:
    """Return the device that the model computes on; None if options chose others."""
    if any(option[0] in _DEVICE_OPTIONS for option in llm.settings.options):
        return None
    return llm.devices[0]
