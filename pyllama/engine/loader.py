"""From settings to a loaded model and context, with what they can hold."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pyllama import hub
from pyllama._ext import backend
from pyllama._ext.context import Context
from pyllama._ext.media import Projector
from pyllama._ext.memory import Memory
from pyllama._ext.model import Model
from pyllama._ext.options import Options
from pyllama._ext.speculative import NgramLookup
from pyllama._ext.vocab import Vocab
from pyllama.engine.drafts import NgramDrafter
from pyllama.engine.embedding_loader import open_embeddings, pooling_of
from pyllama.engine.tuned import with_tuned
from pyllama.errors import ConfigError, ModelLoadError, NativeError
from pyllama.results import ModelInfo
from pyllama.sched import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from pyllama.engine.embedding_context import EmbeddingContext
    from pyllama.interruptible import Cancellation
    from pyllama.settings import Settings

logger = logging.getLogger(__name__)

# KV cells of one slot where the operator names no context size: enough for a conversation, and
# small enough that four slots of a large model fit a laptop.
_DEFAULT_CTX_SEQ = 4096
# Pixels of the picture that shows whether a projector is for the model.
_TRIAL_SIDE = 64
# Sequence ids of a unified pool: each costs a row of logits in the output buffer.
_MIN_POOL_IDS = 32
_MAX_SEQ_IDS = 256
_QUESTION = "Is it a text model?"
_REMEDY = "Lower --ctx-size or --parallel if memory ran out."


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model with its context, and what the rest of the library wants to know of them."""

    model: Model
    context: Context | None
    """Where text is generated; None where the model does not, or is not to."""
    vocab: Vocab
    limits: Limits
    info: ModelInfo
    drafter: NgramDrafter | None = None
    """Guesses ahead, where the settings ask for it and the model's memory can take it back."""
    open_embeddings: Callable[[], EmbeddingContext]
    """Makes a context for embeddings over the same weights."""
    projector: Projector | None = None
    """Encodes pictures and sound, where the settings name one."""

    def close(self) -> None:
        """Free the context; the model goes with the last reference to it."""
        if self.context is not None:
            self.context.close()


def load(settings: Settings, path: Path, cancellation: Cancellation | None = None) -> LoadedModel:
    """Load a model file and make its context, with what was tuned beneath the settings.

    Args:
        settings: the operator's.
        path: the file.
        cancellation: ends the load early, with ModelLoadError.

    Raises:
        ModelLoadError: the file is not a model that llama.cpp can load, or memory ran out.
    """
    start_s = time.perf_counter()
    hub.check_gguf(path)
    settings = with_tuned(settings, path)
    options = _options(settings)
    if cancellation is not None:
        cancellation.on_set(options.cancel)
    _settle_kernels(settings)
    with _NativeErrors() as errors:
        try:
            model = Model(str(path), options)
        except NativeError as error:
            raise ModelLoadError(str(path), errors.last(error), _QUESTION) from error
    loaded = _with_context(settings, model, options, path)
    if settings.mmproj is not None:
        loaded = _with_projector(loaded, settings.mmproj)
    logger.info("loaded %s in %.1f s", path, time.perf_counter() - start_s)
    return loaded


def check(settings: Settings, path: Path) -> tuple[Model, Vocab]:
    """Look at all of a model file but its weights' values, as a load of it would.

    Returns:
        The model, of which there can be no context, and its vocabulary.

    Raises:
        ModelLoadError: it could not be loaded.
    """
    hub.check_gguf(path)
    if settings.mmproj is not None:
        hub.check_gguf(hub.resolve(settings.mmproj))
    with _NativeErrors() as errors:
        try:
            model = Model(str(path), _options(settings), is_trial=True)
        except NativeError as error:
            raise ModelLoadError(str(path), errors.last(error), _QUESTION) from error
    _check_kind(model, path)
    return model, Vocab(model)


def _check_kind(model: Model, path: Path) -> None:
    if model.is_diffusion:
        raise ModelLoadError(str(path), "this model generates neither text nor embeddings.")


def _settle_kernels(settings: Settings) -> None:
    """Switch the kernels on or off. Raises ConfigError where an earlier model did otherwise."""
    try:
        kernels = backend.use_kernels(settings.kernels)
    except ValueError as error:
        raise ConfigError(f"kernels: {error}; use another process for the other way") from None
    if kernels:
        logger.info("computing on pyllama's %s kernels", kernels)


def device_names() -> tuple[str, ...]:
    """Return the names of the devices that ggml can compute on, accelerators before the CPU."""
    return tuple(device["name"] for device in backend.devices())


def can_offload() -> bool:
    """Tell whether there is a GPU that layers can be put on."""
    backend.initialise()
    return backend.features()["gpu_offload"]


def second_context(loaded: LoadedModel, settings: Settings) -> LoadedModel:
    """Make a second context over the same weights; what the settings say of weights has no effect.

    Raises:
        ConfigError: the options contradict each other.
        ModelLoadError: llama.cpp refuses such a context, or memory ran out.
    """
    return _with_context(settings, loaded.model, _options(settings), Path(loaded.info.path))


def _with_projector(loaded: LoadedModel, mmproj: str) -> LoadedModel:
    """Load the projector beside a model. Raises ModelLoadError."""
    try:
        path = hub.resolve(mmproj)
        projector = _projector(loaded, path)
    except BaseException:
        loaded.close()
        raise
    info = replace(
        loaded.info,
        has_vision=projector.has_vision,
        has_audio=projector.has_audio,
        projector_path=str(path),
    )
    return replace(loaded, projector=projector, info=info)


def _projector(loaded: LoadedModel, path: Path) -> Projector:
    hub.check_gguf(path)
    if loaded.context is None:
        raise ModelLoadError(str(path), "the model makes embeddings, and those of text only.")
    with _NativeErrors() as errors:
        try:
            projector = Projector(loaded.model, path)
            # Also that the vocabulary has what they put around media: better now than in answers.
            if projector.has_vision:
                projector.picture(bytes(3 * _TRIAL_SIDE**2), _TRIAL_SIDE, _TRIAL_SIDE)
            if projector.sample_rate is not None:
                projector.sound(bytes(4 * projector.sample_rate))
        except NativeError as error:
            remedy = "Was it made for this model?"
            raise ModelLoadError(str(path), errors.last(error), remedy) from error
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


def _with_context(settings: Settings, model: Model, options: Options, path: Path) -> LoadedModel:
    _check_kind(model, path)
    n_ctx_seq = min(model.n_ctx_train, _DEFAULT_CTX_SEQ)
    n_draft_rows = settings.parallel * options.n_draft
    with _NativeErrors() as errors:
        try:
            context = Context(model, n_ctx_seq * settings.parallel, options, n_draft_rows)
        except NativeError as error:
            raise ModelLoadError(str(path), errors.last(error), _REMEDY) from error
    is_causal = context.is_causal
    vocab = Vocab(model)
    limits = _limits(settings, model, context, vocab, n_draft_rows)
    can_generate = is_causal and _remembers(context) and not settings.embedding
    if not can_generate:
        context.close()
    drafter = _drafter(settings, options, limits) if can_generate else None
    return LoadedModel(
        model=model,
        context=context if can_generate else None,
        vocab=vocab,
        limits=limits,
        info=_info(settings, model, vocab, path, can_generate=can_generate),
        drafter=drafter,
        open_embeddings=lambda: _embeddings(
            settings, model, path, limits.n_ctx_seq, can_cut=is_causal
        ),
    )


def _remembers(context: Context) -> bool:
    """Return whether a context keeps anything to continue from."""
    try:
        Memory(context).pos_max(0)
    except NativeError:
        return False
    return True


def _embeddings(
    settings: Settings, model: Model, path: Path, n_ctx: int, *, can_cut: bool
) -> EmbeddingContext:
    with _NativeErrors() as errors:
        try:
            return open_embeddings(
                settings, model, _options(settings), n_ctx=n_ctx, can_cut=can_cut
            )
        except NativeError as error:
            raise ModelLoadError(str(path), errors.last(error), _REMEDY) from error


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
    settings: Settings, model: Model, vocab: Vocab, path: Path, *, can_generate: bool
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
        can_generate=can_generate,
        pooling=pooling_of(settings, model).name.lower(),
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
