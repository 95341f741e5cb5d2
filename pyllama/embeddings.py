"""Texts to embeddings: tokens in the caller's thread, rows from the engine's, then the form."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any

from pyllama.engine import EmbeddingJob
from pyllama.errors import ContextOverflow, EngineError, InvalidRequest, Unsupported
from pyllama.process import Process
from pyllama.results import Embedding, Embeddings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyllama.engine import Embedder, Engine
    from pyllama.engine.embedding_context import EmbeddingContext
    from pyllama.settings import Settings
    from pyllama.text import TextCodec

_MAX_INPUTS = 2048
_MAX_NORM = 64


class EmbeddingRequests:
    """Starts requests for embeddings of one model; any thread may use it.

    Args:
        engine: computes them.
        embedder: the engine's; says how long an input may be.
        codec: the model's vocabulary.
        settings: what requests leave open.
    """

    def __init__(
        self, engine: Engine, embedder: Embedder, codec: TextCodec, settings: Settings
    ) -> None:
        self._engine = engine
        self._embedder = embedder
        self._codec = codec
        self._norm = settings.embd_normalize

    def start(
        self,
        inputs: str | Sequence[Any],
        *,
        normalize: int | None = None,
        dimensions: int | None = None,
        truncate: bool = False,
        param: str = "input",
    ) -> PendingEmbeddings:
        """Hand inputs to the engine; returns at once, but for the first request of all.

        Args:
            inputs: a text, token ids, or a list of these.
            normalize: the norm that a vector is scaled to: -1 none, 0 largest number 32760,
                1 taxicab, 2 euclidean, p above that the p-norm; None is the settings'. Rows of
                single tokens are never scaled.
            dimensions: how many of the first numbers of a vector are kept, before it is scaled.
            truncate: cut an input that is too long instead of refusing it.
            param: what errors call the inputs.

        Raises:
            InvalidRequest: an input is empty, holds what is no token of this vocabulary, or is too
                long; ContextOverflow for the last.
            Unsupported: the model makes no embeddings, or none of this width.
            ModelLoadError: there is no memory for a context.
            QueueFull, Draining, EngineError: as for a generation.
        """
        norm = self._norm if normalize is None else normalize
        if not -1 <= norm <= _MAX_NORM:
            raise InvalidRequest(
                f"embd_normalize must be within -1 and {_MAX_NORM}, not {norm}",
                param="embd_normalize",
            )
        sources, paths = _listed(inputs, param)
        self._engine.check()
        context = self._embedder.open()
        _check_dimensions(dimensions, context)
        job = EmbeddingJob(
            [
                self._tokens(source, path, context.n_input_max, truncate=truncate)
                for source, path in zip(sources, paths, strict=True)
            ]
        )
        self._engine.embed(job)
        # Token rows are what the model says, nothing is made of them.
        norm = norm if context.pools else -1
        return PendingEmbeddings(self._engine, job, context.n_embd, norm=norm, n_kept=dimensions)

    def _tokens(
        self, source: str | Sequence[int], path: str, n_max: int, *, truncate: bool
    ) -> tuple[int, ...]:
        if not source:
            raise InvalidRequest(f"{path} must not be empty", param=path)
        vocab = self._codec.vocab
        if isinstance(source, str):
            if not truncate and self._codec.limit is not None:
                self._codec.limit.check(source, n_max=n_max, param=path)
            tokens = vocab.tokenize(source, add_special=True, parse_special=True)
        else:
            tokens = list(source)
            for token in tokens:
                if type(token) is not int or not 0 <= token < vocab.n_tokens:
                    raise InvalidRequest(
                        f"{path}: {token!r:.40} is no token id below {vocab.n_tokens}", param=path
                    )
        if not tokens:
            raise InvalidRequest(f"{path} holds no token", param=path)
        if len(tokens) > n_max:
            if not truncate:
                raise ContextOverflow(len(tokens), n_max, param=path)
            end = self._end_tokens() if isinstance(source, str) else []
            tokens = [*tokens[: n_max - len(end)], *end]
        return tuple(tokens)

    def _end_tokens(self) -> list[int]:
        """Return what the vocabulary puts behind every text, which a cut must not take away."""
        vocab = self._codec.vocab
        with_specials = vocab.tokenize("a", add_special=True, parse_special=False)
        n_plain = len(vocab.tokenize("a", add_special=False, parse_special=False))
        n_before = 1 if with_specials[:1] == [vocab.bos] else 0
        return with_specials[n_before + n_plain :]


class PendingEmbeddings:
    """Embeddings in the making, for one consumer. Dropping the last reference ends them.

    Args:
        engine: computes them.
        job: the request's place in the engine.
        n_embd: numbers of a row.
        norm: the norm that rows are scaled to, -1 for none.
        n_kept: numbers that are kept of each row; None for all.
    """

    def __init__(
        self, engine: Engine, job: EmbeddingJob, n_embd: int, *, norm: int, n_kept: int | None
    ) -> None:
        self._engine = engine
        self._job = job
        self._n_embd = n_embd
        self._norm = norm
        self._n_kept = n_embd if n_kept is None else n_kept
        self._is_over = False
        self._process = Process()

    @property
    def prompt_tokens(self) -> int:
        """Tokens of all inputs."""
        return sum(map(len, self._job.lot.inputs))

    def poll(self, timeout_s: float | None = None) -> bool:
        """Return whether :meth:`result` is there, waiting for it.

        Args:
            timeout_s: seconds to wait; None waits for as long as it takes.

        Raises:
            Forked: the engine is in another process.
        """
        self._process.check()
        self._is_over = self._job.wait(timeout_s)
        return self._is_over

    def result(self) -> Embeddings:
        """Wait for the end; return the embeddings.

        Raises:
            EngineError: the engine failed, or what it computed is no number.
            Cancelled: the request was closed, or the engine was shut down.
        """
        self.poll(None)
        job = self._job
        if job.error is not None:
            raise job.error
        return Embeddings(
            data=tuple(
                Embedding(rows=self._rows(rows), n_tokens=len(tokens))
                for rows, tokens in zip(job.rows, job.lot.inputs, strict=True)
            ),
            prompt_tokens=self.prompt_tokens,
            queue_ms=1e3 * (job.start_s - job.arrival_s),
            compute_ms=1e3 * (job.end_s - job.start_s),
        )

    def close(self) -> None:
        """End the request; idempotent, from any thread."""
        if not self._is_over:
            self._is_over = True
            self._engine.abort(self._job)

    def __enter__(self) -> PendingEmbeddings:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def __del__(self) -> None:
        """Close: nobody can read it any more."""
        self.close()

    def _rows(self, data: array[float]) -> tuple[array[float], ...]:
        return tuple(
            scaled(data[start : start + self._n_kept], self._norm)
            for start in range(0, len(data), self._n_embd)
        )


def scaled(row: array[float], norm: int) -> array[float]:
    """Return a row of norm 1, or as it is for a norm of -1; one of zeros stays what it is.

    Raises:
        EngineError: the row holds what is no finite number.
    """
    largest = max(map(abs, row))
    if not math.isfinite(math.fsum(row)):
        raise EngineError("the model computed an embedding that is not finite")
    if norm == -1 or largest == 0:
        return row
    if norm == 0:
        size = largest / 32760
    elif norm == 2:
        size = math.hypot(*row)
    else:
        # Divided first, so that no power overflows.
        size = largest * math.fsum((abs(x) / largest) ** norm for x in row) ** (1 / norm)
    return array("f", [x / size for x in row])


def _listed(inputs: str | Sequence[Any], param: str) -> tuple[list[Any], list[str]]:
    """Return the inputs and what errors call each."""
    if isinstance(inputs, str):
        return [inputs], [param]
    if not isinstance(inputs, (list, tuple)) or not inputs:
        raise InvalidRequest(
            f"{param} must be a text, a list of token ids, or a list of these", param=param
        )
    if all(type(item) is int for item in inputs):
        return [inputs], [param]
    if len(inputs) > _MAX_INPUTS:
        raise InvalidRequest(
            f"{param} holds {len(inputs)} inputs; send at most {_MAX_INPUTS}", param=param
        )
    paths = [f"{param}[{index}]" for index in range(len(inputs))]
    for item, path in zip(inputs, paths, strict=True):
        if not isinstance(item, (str, list, tuple)):
            raise InvalidRequest(f"{path} must be a text or a list of token ids", param=path)
    return list(inputs), paths


def _check_dimensions(dimensions: int | None, context: EmbeddingContext) -> None:
    if dimensions is None:
        return
    if not context.pools:
        raise Unsupported(
            "dimensions is for pooled embeddings; --pooling none asks for rows of tokens",
            param="dimensions",
        )
    if not 1 <= dimensions <= context.n_embd:
        raise InvalidRequest(
            f"dimensions must be within 1 and {context.n_embd}, the width of this model's "
            f"embeddings, not {dimensions}",
            param="dimensions",
        )
