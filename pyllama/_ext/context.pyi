"""A context: KV cells, compute buffers, decode.

One thread at a time may use a context and what is made of it; only :meth:`Context.abort` is for any
thread.
"""

from typing import Final

from typing_extensions import disjoint_base

from pyllama._ext.batch import Batch
from pyllama._ext.model import Model
from pyllama._ext.options import Options

DECODE_OK: Final = 0
"""Every token of the batch was computed."""
DECODE_NO_KV_CELLS: Final = 1
"""No room in the KV cache; the context is as it was before."""
DECODE_ABORTED: Final = 2
"""The abort flag was set; KV cells of the parts computed before it remain."""

@disjoint_base
class Context:
    """A llama_context for a model; keeps the model alive. A model may have several.

    Close it: a context that is collected open frees its memory, with a ``ResourceWarning``.
    Releases the GIL while it allocates and warms up.

    Args:
        model: the model.
        n_ctx_default: KV cells in all where the options name no context size.
        options: what to make it by; None means the options that loaded the model. Of others only
            what concerns a context counts. Finished by this call, if they are not yet.
        n_draft_rows: rows of logits that a batch may ask for to verify drafts with.
        embeddings: make it for embeddings: every token of a batch is an output, and
            :mod:`pyllama._ext.embeddings` reads them.

    Raises:
        ConfigError: the options contradict each other.
        NativeError: llama.cpp refused the parameters, or memory ran out.

    Source: ``llama_init_from_model``.
    """

    def __new__(
        cls,
        model: Model,
        n_ctx_default: int,
        options: Options | None = None,
        n_draft_rows: int = 0,
        embeddings: bool = False,
    ) -> Context: ...
    def close(self) -> None:
        """Free the context; every call after the first does nothing. Releases the GIL.

        Source: ``llama_free``.
        """

    def decode(self, batch: Batch) -> int:
        """Compute a batch, wait for it, and keep the logits that it asked for.

        Blocks for milliseconds to seconds without the GIL.

        Returns:
            :data:`DECODE_OK`, :data:`DECODE_NO_KV_CELLS` or :data:`DECODE_ABORTED`.

        Raises:
            ValueError: the batch is empty, longer than ``n_batch``, or than ``n_ubatch`` where the
                attention is not causal; it asks for more than ``n_outputs_max`` rows of logits, or
                holds a token or sequence id out of range.
            NativeError: llama.cpp refused it, as where positions of a sequence leave a gap. The
                KV cells of the sequences are as they were.
            RuntimeError: the context is closed.

        Source: ``llama_decode``, ``llama_encode``, ``llama_synchronize``.
        """

    def abort(self) -> None:
        """Make a running decode, or else the next one, return early. Any thread may call it.

        Backends on the CPU look at the flag between two operations of the graph, others only
        between two micro-batches. The flag stays set until :meth:`clear_abort`.

        Source: ``ggml_abort_callback``.
        """

    def clear_abort(self) -> None:
        """Forget an earlier :meth:`abort`."""

    def logits(self, row: int) -> memoryview:
        """Copy one row of logits of the last decode.

        Args:
            row: batch row, as :meth:`Batch.add` returned it.

        Returns:
            float32, shape (n_vocab,). An arg-max that was sampled from this row with tokens banned
            has left minus infinity in their place.

        Raises:
            ValueError: that row asked for no logits.
            RuntimeError: the context is closed.

        Source: ``llama_get_logits_ith``.
        """

    def set_threads(self, n_threads: int, n_threads_batch: int) -> None:
        """Change how many of the context's threads compute one token, and several.

        Raises:
            ValueError: a number is below 1, or above what the options said.
            RuntimeError: the context is closed.

        Source: ``llama_set_n_threads``.
        """

    @property
    def is_open(self) -> bool:
        """Whether :meth:`close` was not called yet; the sizes below raise RuntimeError after it."""

    @property
    def n_ctx(self) -> int:
        """KV cells in all.

        Source: ``llama_n_ctx``.
        """

    @property
    def n_ctx_seq(self) -> int:
        """KV cells that one sequence may use: all in a unified cache, else its stream's.

        Source: ``llama_n_ctx_seq``.
        """

    @property
    def n_batch(self) -> int:
        """Most tokens of one decode.

        Source: ``llama_n_batch``.
        """

    @property
    def n_ubatch(self) -> int:
        """Most tokens that are computed at once.

        Source: ``llama_n_ubatch``.
        """

    @property
    def n_seq_max(self) -> int:
        """Sequences that a batch may hold; their ids there are in [0, n_seq_max).

        Source: ``llama_n_seq_max``.
        """

    @property
    def n_outputs_max(self) -> int:
        """Rows of logits that a batch may ask for: one a sequence, some to score prompts,
        and those for drafts."""

    @property
    def is_causal(self) -> bool:
        """Whether a token attends to those before it only, so that a batch may end anywhere.

        Source: ``llama_get_causal_attn``, ``llama_model_has_encoder``.
        """

    @property
    def pooling(self) -> int:
        """What becomes of a sequence's rows: ``enum llama_pooling_type``.

        Source: ``llama_pooling_type``.
        """

    @property
    def n_rows(self) -> int:
        """Tokens of the last decode; 0 where it did not come to its end."""

    @property
    def n_threads(self) -> int:
        """Threads that compute one token.

        Source: ``llama_n_threads``.
        """

    @property
    def n_threads_batch(self) -> int:
        """Threads that compute several tokens.

        Source: ``llama_n_threads_batch``.
        """
