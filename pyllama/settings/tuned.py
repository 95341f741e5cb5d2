"""Settings that were measured: they rank beneath what the operator says, above the defaults."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from pyllama.settings.settings import Settings
from pyllama.settings.table import table

if TYPE_CHECKING:
    from pyllama.tune.store import Tuned

# What a slot of a context of default size holds at most: pyllama/engine/loader.py.
_DEFAULT_CTX_SLOT = 4096

# An option on the left is not ours to choose where one on the right is given: batch threads follow
# the other threads, and llama.cpp quantises V only with flash attention.
_DECIDED_BY = {
    "--threads-batch": {"--threads"},
    "--flash-attn": {"--cache-type-v"},
    "--cache-type-v": {"--flash-attn"},
}
# Compute buffers grow with a slot's context, so these were measured up to a size.
_PER_CONTEXT = {"--flash-attn", "--ubatch-size"}
_PER_SLOTS = {"--kv-unified"}

# Options that say where the model is computed: with others, other settings are best.
_PLACEMENT = {
    "--device",
    "--gpu-layers",
    "--split-mode",
    "--tensor-split",
    "--main-gpu",
    "--override-tensor",
    "--cpu-moe",
    "--n-cpu-moe",
    "--n-cpu-ffn",
    "--kv-offload",
    "--op-offload",
    "--no-host",
    "--repack",
    "--fit",
    "--fit-target",
    "--fit-ctx",
}


def named(settings: Settings) -> set[str]:
    """Return the long names of the options that the operator gave."""
    return {table().name(option[0]) for option in settings.options}


def placement(settings: Settings) -> tuple[tuple[str, ...], ...]:
    """Return the options that say where the model is computed, in one spelling and order."""
    options = [
        (table().canonical(arg), *values)
        for arg, *values in settings.options
        if table().name(arg) in _PLACEMENT
    ]
    if not settings.kernels:
        options.append(("--no-kernels",))
    return tuple(sorted(options))


def ctx_slot(settings: Settings) -> int:
    """Return the KV cells that one request may use, at most, as far as the options tell."""
    sizes = [
        int(values[0]) for arg, *values in settings.options if table().name(arg) == "--ctx-size"
    ]
    if not sizes:
        return _DEFAULT_CTX_SLOT
    if sizes[-1] == 0:
        # As much as the model was trained for.
        return sys.maxsize
    return sizes[-1] if settings.kv_unified else sizes[-1] // settings.parallel


def beneath(settings: Settings, tuned: Tuned) -> Settings:
    """Return the settings with those tuned options that the operator leaves open."""
    given = named(settings)
    options = tuple(
        option
        for option in tuned.options
        if given.isdisjoint({option[0], *_DECIDED_BY.get(option[0], ())})
        and (option[0] not in _PER_CONTEXT or ctx_slot(settings) <= tuned.n_ctx_slot)
        and (option[0] not in _PER_SLOTS or settings.parallel == tuned.n_slots)
    )
    is_pool = any(option[0] == "--kv-unified" for option in options)
    return replace(
        settings,
        options=(*options, *settings.options),
        kv_unified=settings.kv_unified or is_pool,
    )
