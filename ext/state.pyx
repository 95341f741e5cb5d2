"""One sequence's KV cells as bytes, and back."""

from cpython.bytearray cimport PyByteArray_FromStringAndSize
from libc.stdint cimport uint8_t

from pyllama._ext.context cimport Context
from pyllama._ext.llama cimport (
    llama_context,
    llama_get_memory,
    llama_memory_seq_rm,
    llama_memory_t,
    llama_state_seq_get_data_ext,
    llama_state_seq_get_size_ext,
    llama_state_seq_set_data_ext,
)

from pyllama.errors import NativeError


def save_sequence(Context context not None, int seq_id):
    cdef llama_context * ctx = context.checked()
    context.check_seq(seq_id)
    cdef size_t size
    cdef size_t written
    with nogil:
        size = llama_state_seq_get_size_ext(ctx, seq_id, 0)
    # PERF: not zeroed first; the copy is what touches the pages, and it holds no GIL.
    state = PyByteArray_FromStringAndSize(NULL, size)
    cdef uint8_t * target = state
    with nogil:
        written = llama_state_seq_get_data_ext(ctx, target, size, seq_id, 0)
    if size == 0 or written != size:
        raise NativeError("llama_state_seq_get_data_ext", f"{written} of {size} bytes")
    return state


def restore_sequence(Context context not None, int seq_id, const uint8_t[::1] state not None):
    cdef llama_context * ctx = context.checked()
    context.check_seq(seq_id)
    cdef size_t size = state.shape[0]
    cdef size_t n_read
    if size == 0:
        raise ValueError("the state is empty")
    cdef const uint8_t * source = &state[0]
    cdef llama_memory_t memory = llama_get_memory(ctx)
    with nogil:
        # The state of an empty sequence would leave the old cells where they are.
        llama_memory_seq_rm(memory, seq_id, -1, -1)
        n_read = llama_state_seq_set_data_ext(ctx, source, size, seq_id, 0)
        if n_read == 0:
            # Cells that were taken before the data ran out.
            llama_memory_seq_rm(memory, seq_id, -1, -1)
    if n_read == 0:
        raise NativeError("llama_state_seq_set_data_ext", "refused the state")
    return n_read
