"""One sequence's KV cells as bytes, and back. For the thread that uses the context."""

from typing_extensions import Buffer

from pyllama._ext.context import Context

def save_sequence(context: Context, seq_id: int) -> bytearray:
    """Copy a sequence's cells to memory of the host. Releases the GIL.

    Returns:
        The state, some hundred bytes more than the cells take. Only a context of the same model,
        cache types and layout (streams or pool) reads it.

    Raises:
        ValueError: the sequence id is outside of the context's.
        NativeError: llama.cpp could not copy it.
        RuntimeError: the context is closed.

    Source: ``llama_state_seq_get_data_ext``.
    """

def restore_sequence(context: Context, seq_id: int, state: Buffer) -> int:
    """Replace a sequence's cells by saved ones. Releases the GIL.

    Args:
        context: a context of the same model, cache types and layout.
        seq_id: the sequence, not necessarily the one that was saved.
        state: contiguous bytes that :func:`save_sequence` returned.

    Returns:
        Bytes read.

    Raises:
        ValueError: the sequence id is outside of the context's, or the state is empty.
        NativeError: it is no state, or of another model, or there is no room. The sequence is
            empty then.
        RuntimeError: the context is closed.

    Source: ``llama_state_seq_set_data_ext``.
    """
