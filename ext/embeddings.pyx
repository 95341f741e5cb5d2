"""The rows of an embedding context: read after a decode, on the context's thread."""

from libc.string cimport memcpy

from pyllama._ext.context cimport Context
from pyllama._ext.llama cimport (
    llama_context,
    llama_get_embeddings_ith,
    llama_get_embeddings_seq,
    llama_model_n_embd_out,
)


def copy_rows(Context context not None, int row, int count):
    cdef llama_context * ctx = _checked(context, row, count)
    cdef size_t n_embd = llama_model_n_embd_out(context.model.ptr)
    data = bytearray(count * n_embd * sizeof(float))
    cdef char * target = data
    cdef int i
    for i in range(count):
        memcpy(target, _row(ctx, row + i), n_embd * sizeof(float))
        target += n_embd * sizeof(float)
    return data


def add_rows(Context context not None, int row, int count, double[::1] total not None):
    cdef llama_context * ctx = _checked(context, row, count)
    cdef int n_embd = llama_model_n_embd_out(context.model.ptr)
    cdef const float * values
    cdef int i, j
    if total.shape[0] != n_embd:
        raise ValueError(f"a row has {n_embd} numbers, not {total.shape[0]}")
    for i in range(count):
        values = _row(ctx, row + i)
        for j in range(n_embd):
            total[j] += values[j]


def copy_pooled(Context context not None, int seq_id):
    cdef llama_context * ctx = context.checked()
    cdef size_t n_bytes = llama_model_n_embd_out(context.model.ptr) * sizeof(float)
    cdef float * values = llama_get_embeddings_seq(ctx, seq_id)
    if values is NULL:
        raise ValueError(f"the last batch had no sequence {seq_id}, or its rows are not pooled")
    data = bytearray(n_bytes)
    cdef char * target = data
    memcpy(target, values, n_bytes)
    return data


cdef llama_context * _checked(Context context, int row, int count) except NULL:
    # llama.cpp would end a debug build for a row that it does not have.
    if row < 0 or count < 1 or count > context.n_rows - row:
        raise ValueError(f"rows [{row}, {row + count}) of {context.n_rows}")
    return context.checked()


cdef float * _row(llama_context * ctx, int row) except NULL:
    cdef float * values = llama_get_embeddings_ith(ctx, row)
    if values is NULL:
        raise ValueError(f"row {row} has no embedding: the context is not for embeddings")
    return values
