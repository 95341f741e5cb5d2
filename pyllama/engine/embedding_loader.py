"""From settings to a context for embeddings: how long an input may be, and how it is pooled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyllama._ext.context import Context
from pyllama._ext.vocab import Vocab
from pyllama.engine.embedding_context import EmbeddingContext, Pooling
from pyllama.errors import Unsupported

if TYPE_CHECKING:
    from pyllama._ext.model import Model
    from pyllama._ext.options import Options
    from pyllama.settings import Settings

# Longest input where no option says more: what clients of embedding services expect at most.
_MAX_INPUT = 8192
# An embedding context keeps the logits of every token of a batch, asked for or not.
_MAX_LOGIT_BYTES = 64 << 20
_MIN_BATCH = 64
_MAX_BATCH = 512
# Inputs of one batch; each has a state of its own where memory is no KV cells.
_N_SEQ_IDS = 64
_N_STATES = 4


def pooling_of(settings: Settings, model: Model) -> Pooling:
    """Return how rows become an embedding: as the operator says, else the model.

    A model that says nothing was not made for it: the mean of all rows is the best that it has.
    """
    if settings.pooling is not None:
        return Pooling[settings.pooling.upper()]
    metadata = model.metadata()
    architecture = metadata.get("general.architecture", "")
    try:
        own = Pooling(int(metadata.get(f"{architecture}.pooling_type", 0)))
    except ValueError:
        own = Pooling.NONE
    return Pooling.MEAN if own is Pooling.NONE else own


def open_embeddings(
    settings: Settings, model: Model, options: Options, *, n_ctx: int, can_cut: bool
) -> EmbeddingContext:
    """Make a context for embeddings over loaded weights.

    Args:
        settings: the operator's.
        model: the weights.
        options: the settings' options, to which this adds its own.
        n_ctx: KV cells that one request may use.
        can_cut: whether attention is causal.

    Raises:
        Unsupported: the model ranks texts and has no embeddings.
        NativeError: llama.cpp refuses it, or memory ran out.
    """
    pooling = pooling_of(settings, model)
    if pooling is Pooling.RANK:
        raise Unsupported(
            "this model ranks texts and makes no embeddings; --pooling cls or mean overrules it"
        )
    n_input_max = min(n_ctx, model.n_ctx_train, _MAX_INPUT)
    n_packed = _n_packed(options, model)
    n_batch = n_packed if can_cut else max(n_input_max, n_packed)
    has_state = model.is_recurrent or model.is_hybrid
    for option in (
        # The longest input may be in pieces while others fill the batch.
        ("--ctx-size", str(n_input_max + n_batch)),
        ("--batch-size", str(n_batch)),
        ("--ubatch-size", str(n_batch)),
        ("--parallel", str(_N_STATES if has_state else _N_SEQ_IDS)),
        ("--kv-unified",),
        ("--pooling", "none" if can_cut else pooling.name.lower()),
    ):
        options.set(*option)
    context = Context(model, 0, options, embeddings=True)
    return EmbeddingContext(
        context, pooling, n_embd=model.n_embd_out, n_input_max=n_input_max, n_packed=n_packed
    )


def _n_packed(options: Options, model: Model) -> int:
    """Return the tokens of a batch of several inputs: many, but few rows of logits."""
    n_rows = _MAX_LOGIT_BYTES // (4 * Vocab(model).n_tokens)
    n_ubatch: int = options.values()["n_ubatch"]
    return max(min(n_rows, _MAX_BATCH, n_ubatch) // _MIN_BATCH * _MIN_BATCH, _MIN_BATCH)
