"""One sequence's KV cells as bytes, and back."""

from libc.stdint cimport uint8_t

from pyllama._ext.context cimport Context
from pyllama._ext.llama cimport (
    llama_context,
    llama_state_seq_get_data_ext,
    llama_state_seq_get_size_ext,
    llama_state_seq_set_data_ext,
)

from pyllama.errors import NativeError


def save_sequence(Context context not None, int seq_id):
    cdef llama_context * ctx = context.checked()
    _check(seq_id)
    cdef size_t size
    cdef size_t written
    with nogil:
        size = llama_state_seq_get_size_ext(ctx, seq_id, 0)
    state = bytearray(size)
    cdef uint8_t * target = state
    with nogil:
        written = llama_state_seq_get_data_ext(ctx, target, size, seq_id, 0)
    if written != size:
        raise NativeError("llama_state_seq_get_data_ext", f"{written} of {size} bytes")
    return state


def restore_sequence(Context context not None, int seq_id, const uint8_t[::1] state not None):
    cdef llama_context * ctx = context.checked()
    _check(seq_id)
    cdef size_t size = state.shape[0]
    cdef size_t n_read
    if size == 0:
        raise ValueError("the state is empty")
    cdef const uint8_t * source = &state[0]
    with nogil:
        n_read = llama_state_seq_set_data_ext(ctx, source, size, seq_id, 0)
    if n_read == 0:
        raise NativeError("llama_state_seq_set_data_ext", "refused the state")
    return n_read


cdef int _check(int seq_id) except -1:
    if not 0 <= seq_id < 256:
        raise ValueError(f"sequence id {seq_id} is outside of [0, 256)")
    return 0
