"""The rows of an embedding context: read after a decode, on the context's thread."""

from array import array

from pyllama._ext.context import Context

def copy_rows(context: Context, row: int, count: int) -> bytearray:
    """Copy the embeddings of some tokens of the last batch.

    Args:
        context: made for embeddings, its rows not pooled.
        row: batch row of the first token.
        count: tokens, at least 1.

    Returns:
        float32 in the machine's order, shape (count, n_embd_out).

    Raises:
        ValueError: the last batch had no such rows, or the context is not for embeddings.
        RuntimeError: the context is closed.

    Source: ``llama_get_embeddings_ith``.
    """

def add_rows(context: Context, row: int, count: int, total: array[float]) -> None:
    """Add the embeddings of some tokens of the last batch to a sum.

    Args:
        context: made for embeddings, its rows not pooled.
        row: batch row of the first token.
        count: tokens, at least 1.
        total: float64, shape (n_embd_out,); changed in place.

    Raises:
        ValueError: the last batch had no such rows, the sum has another width, or the context is
            not for embeddings.
        RuntimeError: the context is closed.

    Source: ``llama_get_embeddings_ith``.
    """

def copy_pooled(context: Context, seq_id: int) -> bytearray:
    """Copy what llama.cpp made of all rows of a sequence in the last batch.

    Args:
        context: made for embeddings, its rows pooled.
        seq_id: the sequence.

    Returns:
        float32 in the machine's order, shape (n_embd_out,).

    Raises:
        ValueError: there is no such sequence in the last batch, or rows are not pooled.
        RuntimeError: the context is closed.

    Source: ``llama_get_embeddings_seq``.
    """
