"""The KV cells of a context: remove, share and look at sequences."""

from pyllama._ext.context cimport Context
from pyllama._ext.llama cimport (
    llama_get_memory,
    llama_memory_can_shift,
    llama_memory_clear,
    llama_memory_seq_add,
    llama_memory_seq_cp,
    llama_memory_seq_keep,
    llama_memory_seq_pos_max,
    llama_memory_seq_pos_min,
    llama_memory_seq_rm,
    llama_memory_t,
    llama_n_ctx,
    llama_n_ctx_seq,
)

from pyllama.errors import NativeError


cdef class Memory:
    cdef Context context

    def __cinit__(self, Context context not None):
        self.context = context

    cdef llama_memory_t checked(self, int seq_id=0) except NULL:
        cdef llama_memory_t memory = llama_get_memory(self.context.checked())
        self.context.check_seq(seq_id)
        if memory is NULL:
            raise NativeError("llama_get_memory", "this model has no memory")
        return memory

    def clear(self, *, bint data=True):
        llama_memory_clear(self.checked(), data)

    def seq_rm(self, int seq_id, int p0=-1, int p1=-1):
        cdef llama_memory_t memory = self.checked(seq_id)
        cdef bint is_removed
        with nogil:
            is_removed = llama_memory_seq_rm(memory, seq_id, p0, p1)
        return bool(is_removed)

    def seq_cp(self, int source, int target, int p0=-1, int p1=-1):
        self.checked(source)
        cdef llama_memory_t memory = self.checked(target)
        if source != target and (p0 > 0 or p1 >= 0) and self.has_streams:
            raise ValueError("between streams only whole sequences can be copied")
        with nogil:
            llama_memory_seq_cp(memory, source, target, p0, p1)

    def seq_keep(self, int seq_id):
        llama_memory_seq_keep(self.checked(seq_id), seq_id)

    def seq_add(self, int seq_id, int p0, int p1, int delta):
        if not self.can_shift:
            raise ValueError("this model's memory cannot shift positions")
        llama_memory_seq_add(self.checked(seq_id), seq_id, p0, p1, delta)

    def pos_min(self, int seq_id):
        return llama_memory_seq_pos_min(self.checked(seq_id), seq_id)

    def pos_max(self, int seq_id):
        return llama_memory_seq_pos_max(self.checked(seq_id), seq_id)

    @property
    def has_streams(self):
        ctx = self.context.checked()
        return llama_n_ctx_seq(ctx) != llama_n_ctx(ctx)

    @property
    def can_shift(self):
        return bool(llama_memory_can_shift(self.checked()))
