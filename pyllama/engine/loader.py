"""From settings to a loaded model and context, with what they can hold."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pyllama import hub
from pyllama._ext.context import Context
from pyllama._ext.media import Projector
from pyllama._ext.memory import Memory
from pyllama._ext.model import Model
from pyllama._ext.options import Options
from pyllama._ext.speculative import NgramLookup
from pyllama._ext.vocab import Vocab
from pyllama.engine.drafts import NgramDrafter
from pyllama.engine.tuned import with_tuned
from pyllama.errors import ModelLoadError, NativeError
from pyllama.results import ModelInfo
from pyllama.sched import Limits

if TYPE_CHECKING:
    from types import TracebackType

    from pyllama.settings import Settings

logger = logging.getLogger(__name__)

# KV cells of one slot where the operator names no context size: enough for a conversation, and
# small enough that four slots of a large model fit a laptop.
_DEFAULT_CTX_SEQ = 4096
# Sequence ids of a unified pool: each costs a row of logits in the output buffer.
_MIN_POOL_IDS = 32
_MAX_SEQ_IDS = 256
_NO_MROPE = "pyllama cannot compute those yet; start it without --mmproj, for text."


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model with its context, and what the rest of the library wants to know of them."""

    model: Model
    context: Context
    vocab: Vocab
    limits: Limits
    info: ModelInfo
    drafter: NgramDrafter | None = None
    """Guesses ahead, where the settings ask for it and the model's memory can take it back."""
    projector: Projector | None = None
    """Encodes pictures and sound, where the settings name one."""


def load(settings: Settings, path: Path) -> LoadedModel:
    """Load a model file and make its context, with what was tuned beneath the settings.

    Raises:
        ModelLoadError: the file is not a model that llama.cpp can load, or memory ran out.
    """
    start_s = time.perf_counter()
    hub.check_gguf(path)
    settings = with_tuned(settings, path)
    options = _options(settings)
    with _NativeErrors() as errors:
        try:
            model = Model(str(path), options)
        except NativeError as error:
            raise ModelLoadError(str(path), errors.last(error), "Is it a text model?") from error
    projector = _projector(settings, model)
    loaded = _with_context(settings, model, options, path, projector)
    logger.info("loaded %s in %.1f s", path, time.perf_counter() - start_s)
    return loaded


def another(loaded: LoadedModel, settings: Settings) -> LoadedModel:
    """Make another context over the same weights; what the settings say of weights has no effect.

    Raises:
        ConfigError: the options contradict each other.
        ModelLoadError: llama.cpp refuses such a context, or memory ran out.
    """
    path = Path(loaded.info.path)
    return _with_context(settings, loaded.model, _options(settings), path, loaded.projector)


def _projector(settings: Settings, model: Model) -> Projector | None:
    """Load the projector that the settings name, if any. Raises ModelLoadError."""
    if settings.mmproj is None:
        return None
    path = hub.resolve(settings.mmproj)
    hub.check_gguf(path)
    with _NativeErrors() as errors:
        try:
            projector = Projector(model, path)
        except NativeError as error:
            remedy = "Was it made for this model?"
            raise ModelLoadError(str(path), errors.last(error), remedy) from error
    if projector.is_mrope:
        raise ModelLoadError(
            str(path), "the model gives pictures positions in two dimensions (M-RoPE).", _NO_MROPE
        )
    return projector


def _options(settings: Settings) -> Options:
    options = Options()
    for option in (*settings.options, *_pool_options(settings)):
        options.set(*option)
    return options


def _pool_options(settings: Settings) -> list[tuple[str, ...]]:
    """Return what makes room for cached prefixes: in a unified pool they are ids of their own.

    One slot alone is a pool too: its only stream serves every id.
    """
    if not settings.kv_unified and settings.parallel > 1:
        return []
    n_seq_ids = min(max(_MIN_POOL_IDS, 2 * settings.parallel), _MAX_SEQ_IDS)
    return [("--kv-unified",), ("--parallel", str(n_seq_ids))]


def _with_context(
    settings: Settings,
    model: Model,
    options: Options,
    path: Path,
    projector: Projector | None,
) -> LoadedModel:
    if not model.has_decoder or model.is_diffusion:
        raise ModelLoadError(str(path), "this model does not generate text.")
    n_ctx_seq = min(model.n_ctx_train, _DEFAULT_CTX_SEQ)
    with _NativeErrors() as errors:
        try:
            n_draft_rows = settings.parallel * options.n_draft
            context = Context(model, n_ctx_seq * settings.parallel, options, n_draft_rows)
        except NativeError as error:
            remedy = "Lower --ctx-size or --parallel if memory ran out."
            raise ModelLoadError(str(path), errors.last(error), remedy) from error
    try:
        Memory(context).pos_max(0)
    except NativeError as error:
        # An embedding model: it decodes, but keeps nothing to continue from.
        context.close()
        raise ModelLoadError(str(path), "this model does not generate text.") from error
    vocab = Vocab(model)
    limits = _limits(settings, model, context, vocab, n_draft_rows)
    return LoadedModel(
        model=model,
        context=context,
        vocab=vocab,
        limits=limits,
        info=_info(settings, model, vocab, path, projector),
        drafter=_drafter(settings, options, limits),
        projector=projector,
    )


def _limits(
    settings: Settings, model: Model, context: Context, vocab: Vocab, n_draft_rows: int
) -> Limits:
    has_window = model.n_swa > 0 and not settings.swa_full
    has_state = model.is_recurrent or model.is_hybrid
    return Limits(
        n_slots=settings.parallel,
        n_seq_ids=context.n_seq_max,
        is_unified=context.n_ctx_seq == context.n_ctx,
        n_ctx_seq=context.n_ctx_seq,
        n_cells=context.n_ctx,
        n_batch=context.n_batch,
        n_ubatch=context.n_ubatch,
        n_scored=context.n_outputs_max - context.n_seq_max - n_draft_rows,
        eog_tokens=vocab.eog_tokens(),
        can_trim=not (has_state or has_window),
    )


def _drafter(settings: Settings, options: Options, limits: Limits) -> NgramDrafter | None:
    if options.n_draft == 0:
        return None
    if not limits.can_trim:
        logger.warning(
            "speculative decoding is off: this model's memory cannot take back a wrong guess"
        )
        return None
    return NgramDrafter(NgramLookup(options, settings.parallel), options.n_draft)


def _info(
    settings: Settings, model: Model, vocab: Vocab, path: Path, projector: Projector | None
) -> ModelInfo:
    return ModelInfo(
        id=settings.alias or path.name,
        path=str(path),
        created=int(time.time()),
        description=model.description,
        architecture=model.metadata().get("general.architecture", "unknown"),
        n_vocab=vocab.n_tokens,
        n_ctx_train=model.n_ctx_train,
        n_embd=model.n_embd,
        n_params=model.n_params,
        size_bytes=model.size_bytes,
        has_vision=projector is not None and projector.has_vision,
        has_audio=projector is not None and projector.has_audio,
    )


class _NativeErrors(logging.Handler):
    """Collects llama.cpp's own error lines while it is entered: they say what a code does not."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self._lines.append(record.getMessage())

    def last(self, error: NativeError) -> str:
        """Return the reason that llama.cpp gave first, else the error's own."""
        return f"{self._lines[0]}." if self._lines else f"{error}."

    def __enter__(self) -> _NativeErrors:
        """Start collecting."""
        logging.getLogger("pyllama.native").addHandler(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop collecting."""
        logging.getLogger("pyllama.native").removeHandler(self)
