"""Fields that Ollama defines and this server does not honour."""

from __future__ import annotations

from typing import Any

from ..fields import Refusal


def _always(_value: Any) -> bool:
    return True


def _at_start(name: str, flag: str) -> Refusal:
    return Refusal(name, _always, f"start the server with {flag}")


# The model is loaded once, so what changes its loading cannot be a request's.
OPTION_REFUSALS = (
    _at_start("num_batch", "--batch-size"),
    _at_start("num_gpu", "--gpu-layers"),
    _at_start("main_gpu", "--main-gpu"),
    _at_start("num_thread", "--threads"),
    _at_start("use_mmap", "--load-mode"),
    _at_start("use_mlock", "--load-mode"),
    Refusal("numa", bool, "start the server with --numa"),
    Refusal("low_vram", bool, "leave it out"),
    Refusal("f16_kv", lambda value: value is not True, "start the server with --cache-type-k"),
    Refusal("vocab_only", bool, "leave it out"),
    Refusal("logits_all", bool, "leave it out"),
    Refusal("penalize_newline", bool, "leave it out"),
    Refusal("tfs_z", lambda value: value != 1, "leave it out"),
)

GENERATE_REFUSALS = tuple(
    Refusal(name, bool, "this server makes no pictures; leave it out")
    for name in ("width", "height", "steps")
)
